"""How long the command line takes to answer.

``python -m benchmarks.startup``: `lotus --help` and `lotus fit --help` beside an interpreter that
does nothing and one that imports Lightning.
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "lotus --help": [sys.executable, "-m", "lotus.cli", "--help"],
    "import pytorch_lightning.cli": [sys.executable, "-c", "import pytorch_lightning.cli"],
    "lotus fit --help": [sys.executable, "-m", "lotus.cli", "fit", "--help"],
}


def main() -> None:
    """Print medians of eleven interleaved runs."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(11):
        for name, command in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - begun)
    for name, times in seconds.items():
        print(f"{name}: median {statistics.median(times):.3f} s, maximum {max(times):.3f} s")


if __name__ == "__main__":
    main()
