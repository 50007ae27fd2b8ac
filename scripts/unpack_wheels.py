"""Takes headers, libraries and licences out of LibTorch's and Arrow's wheels.

usage: unpack_wheels.py FOLDER [--cuda] WHEEL...

The wheels' layout stays as it is (torch/ and nvidia/ beside each other), because the libraries
find one another by relative paths. Python modules and static libraries are left out, and the CUDA
half of torch too unless --cuda is given.
"""

import re
import shutil
import sys
import zipfile
from pathlib import Path

WANTED = re.compile(
    r"torch/include/.*|torch/lib/[^/]*\.so[^/]*|nvidia/.*/lib/[^/]*\.so[^/]*|[^/]*\.dist-info/.*licen[cs]e.*"
    # Parquet needs two of Arrow's libraries; the headers of the Python interface need Python's.
    r"|pyarrow/include/(arrow/(?!python/)|parquet/).*|pyarrow/lib(arrow|parquet)\.so\.\d+",
    re.IGNORECASE,
)
# libtorch_python needs a Python; libshm is its helper.
NEVER = re.compile(r"torch/lib/lib(torch_python|shm)\.so")
CUDA = re.compile(r"torch/lib/lib(torch_cuda\w*|c10_cuda|caffe2_nvrtc|torch_nvshmem)\.so")


def main():
    arguments = sys.argv[1:]
    folder = Path(arguments[0])
    with_cuda = "--cuda" in arguments
    for wheel in (a for a in arguments[1:] if a != "--cuda"):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if entry.is_dir() or not WANTED.fullmatch(name) or NEVER.fullmatch(name) or ".." in name:
                    continue
                if CUDA.fullmatch(name) and not with_cuda:
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"tigerbot: {error}")
