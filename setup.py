"""setuptools entry point; every setting lives in pyproject.toml, every compiler flag in CMakeLists.txt."""

from setuptools import setup

setup()
