"""What a frozen copy of the example, qb, consists of. The tool itself is built from pyproject.toml."""

from setuptools import find_packages, setup

setup(
    name="qb",
    version="1.0.0",
    description="A quizbowl guesser in AllenNLP",
    packages=find_packages(include=["qb", "qb.*"]),
    package_data={"qb": ["data/*.json"]},
    python_requires=">=3.11",
)
