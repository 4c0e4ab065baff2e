from services.testing import real_database, real_servers  # noqa: F401
