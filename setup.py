"""Compiles the leaves (Cython, pure-Python mode) when a C compiler is there; installs without them when not.

The list of compiled modules lives in ``shardproxy/compiled.py``. ``SHARDPROXY_PURE=1`` skips compiling;
``SHARDPROXY_REQUIRE_COMPILED=1`` makes a failed compile an error (the Dockerfile and CI set it).
"""

import importlib.util
import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def compiled_modules() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("compiled", Path(__file__).parent / "shardproxy" / "compiled.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.COMPILED_MODULES


class OptionalBuildExt(build_ext):
    """A build without compiler is a working, slower build; ``shardproxy --version`` says which one it is."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            if os.environ.get("SHARDPROXY_REQUIRE_COMPILED"):
                raise
            print(f"shardproxy: leaves not compiled ({error}); the pure-Python build is used")


def extensions() -> list[Extension]:
    if os.environ.get("SHARDPROXY_PURE"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if os.environ.get("SHARDPROXY_REQUIRE_COMPILED"):
            raise
        return []
    return cythonize(
        [Extension(name, [name.replace(".", "/") + ".py"], extra_compile_args=["-O2"]) for name in compiled_modules()],
        compiler_directives={"language_level": "3", "embedsignature": True},
        build_dir="build/cython",
    )


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuildExt})
