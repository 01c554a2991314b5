"""Compiles the leaves (Cython, pure-Python mode) when a C compiler is there; installs without them when not.

The list of compiled modules lives in ``shardproxy/compiled.py``. ``SHARDPROXY_PURE=1`` skips compiling;
``SHARDPROXY_REQUIRE_COMPILED=1`` makes a build without compiler an error (the Dockerfile and CI set it).
A leaf that Cython refuses is always an error: it is a mistake in the leaf, not a lack of this machine.
An editable install and ``setup.py build_ext --inplace`` put each extension beside its source.
"""

import os
import runpy
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
PURE = bool(os.environ.get("SHARDPROXY_PURE"))
REQUIRED = bool(os.environ.get("SHARDPROXY_REQUIRE_COMPILED"))


class OptionalBuildExt(build_ext):
    """A build without compiler is a working, slower build; ``shardproxy --version`` says which one it is."""

    def finalize_options(self) -> None:
        """Compile on all processors."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Build all leaves or none of them."""
        try:
            super().build_extensions()
        except Exception as error:
            if REQUIRED:
                raise
            print(f"shardproxy: leaves not compiled ({error}); the pure-Python build is used")
            self.extensions.clear()


def leaves() -> Any:
    """The extensions to build, one for each leaf; none without Cython."""
    if PURE:
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415
    except ImportError:
        if REQUIRED:
            raise
        return []
    names: tuple[str, ...] = runpy.run_path(str(ROOT / "shardproxy" / "compiled.py"))["COMPILED_MODULES"]
    flags = ["-O2", "-g0", "-w"]  # what compilers warn of in generated C is nobody's to mend
    return cythonize(
        [Extension(name, [name.replace(".", "/") + ".py"], extra_compile_args=flags) for name in names],
        compiler_directives={
            "language_level": "3",
            "embedsignature": True,
            "annotation_typing": False,
            "nonecheck": True,
        },
        build_dir="build/cython",
        quiet=True,
    )


setup(ext_modules=leaves(), cmdclass={"build_ext": OptionalBuildExt})
