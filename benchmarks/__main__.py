"""``python -m benchmarks``: every benchmark in turn, each in a process of its own."""

import subprocess
import sys

BENCHMARKS = (
    *("startup", "metrics", "scoring", "training_step", "attention", "validation", "segment"),
    *(
        "volume_segmentation",
        "enhancement",
        "patches",
        "tiling",
        "explain",
        "engines",
        "lcn",
        "thickness",
    ),
    "zernike_phantom",
    "histomorphometry",
    "sigreg",
)


def main() -> int:
    """Run them all; the exit status is the number that failed."""
    failed = 0
    for name in BENCHMARKS:
        print(f"\n## {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
