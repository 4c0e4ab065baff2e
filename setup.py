"""setuptools entry point; settings live in pyproject.toml, compiler flags in CMakeLists.txt."""

from setuptools import setup

setup()
