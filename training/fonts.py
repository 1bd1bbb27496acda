"""Fetch the fonts that plates are rendered with: python -m training.fonts DIR.

The families are open fonts of npm's @fontsource packages (SIL OFL or Apache-2.0, each package
holds its licence). Debian's fonts-roadgeek and fonts-opendin are used where installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FONTS_VARIABLE = "EDGE_AGENT_FONTS"
SYSTEM = Path("/usr/share/fonts")
SYSTEM_FAMILIES = re.compile(r"roadgeek|opendin|LiberationSansNarrow|DejaVuSans|FreeSans", re.IGNORECASE)
UNFIT = re.compile(r"-ext-|vietnam|cyril|greek|oblique|italic|-[12]00-", re.IGNORECASE)
FAMILIES = (
    "allerta antonio archivo-narrow asap-condensed azeret-mono b612-mono barlow-condensed "
    "barlow-semi-condensed bebas-neue cabin-condensed cousine dm-mono dosis encode-sans-condensed "
    "fira-mono fira-sans-condensed fjalla-one francois-one ibm-plex-mono ibm-plex-sans-condensed "
    "inconsolata jetbrains-mono khand league-gothic nunito oswald overpass-mono pathway-gothic-one "
    "pt-mono pt-sans-narrow quantico rajdhani red-hat-mono roboto-condensed roboto-mono "
    "saira-condensed saira-extra-condensed saira-semi-condensed share-tech share-tech-mono "
    "sofia-sans-condensed source-code-pro space-mono staatliches teko ubuntu-condensed ubuntu-mono "
    "varela-round"
)


def fonts(folder: Path | None = None) -> list[Path]:
    """Every usable font file: of the given folder (or $EDGE_AGENT_FONTS) and of the system."""
    if folder is None and FONTS_VARIABLE in os.environ:
        folder = Path(os.environ[FONTS_VARIABLE])
    if folder is not None and not folder.is_dir():
        message = f"{folder}: no such folder of fonts: python -m training.fonts {folder}"
        raise ValueError(message)
    folder = folder or Path("fonts")
    own = [p for p in sorted(folder.rglob("*latin-*-normal.woff")) if not UNFIT.search(p.name)]
    system = [
        p for p in sorted(SYSTEM.rglob("*.[to]tf")) if SYSTEM_FAMILIES.search(str(p)) and not UNFIT.search(p.name)
    ]
    return own + system


def fetch(folder: Path) -> None:
    """Install the families into the folder with npm."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    names = [f"@fontsource/{family}" for family in FAMILIES.split()]
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *names]
    subprocess.run(command, cwd=folder, check=True)


def main() -> int:
    """Command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m training.fonts DIR\n")
        return 2
    fetch(Path(sys.argv[1]))
    sys.stdout.write(f"{len(fonts(Path(sys.argv[1])))} font files\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
