"""Pictures of a bundle's report as a browser shows it on a desk and on a phone.

Run with `python -m autosplitc.bench.report OUT`. Needs chromium or chrome on PATH. A headless chromium is at least 500 pixels wide, so the
phone is a frame of 390 pixels on a page of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import click

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESK_PX, PHONE_PX, LEAST_PX = 1280, 390, 500
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files", "--virtual-time-budget=8000")


@click.command()
@click.argument("out", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--dark", is_flag=True, help="As a browser in dark mode shows it.")
@click.option("--pictures", type=click.Path(path_type=Path), default=Path(), help="Folder for the pictures.  [default: this one]")
@click.option("--height", "height_px", default=4400, show_default=True, help="Height of the desk's picture; the phone's is twice that.")
def report(out: Path, dark: bool, pictures: Path, height_px: int) -> None:
    """Take pictures of OUT/report.html at the widths of a desk and of a phone: report-desk.png, report-phone.png."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise click.ClickException(f"no browser on PATH: {', '.join(BROWSERS)}")
    page = (out / "report.html").resolve()
    if not page.is_file():
        raise click.ClickException(f"{page} is not there: autosplitc report {out} writes it")
    pictures.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="autosplitc-") as scratch:
        frame = Path(scratch) / "phone.html"
        style = f"width:{PHONE_PX}px;height:{2 * height_px}px;border:0"
        frame.write_text(f'<!DOCTYPE html><body style="margin:0"><iframe src="{page.as_uri()}" style="{style}"></iframe>', encoding="utf-8")
        for name, address, width_px, tall_px in (("desk", page, DESK_PX, height_px), ("phone", frame, LEAST_PX, 2 * height_px)):
            picture = (pictures / f"report-{name}.png").resolve()
            theme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
            flags = (*FLAGS, *theme, f"--window-size={width_px},{tall_px}", f"--screenshot={picture}", address.as_uri())
            done = subprocess.run((browser, *flags), capture_output=True, text=True, timeout=120, check=False)
            if done.returncode or not picture.is_file():
                raise click.ClickException(f"{browser} took no picture: {done.stderr.strip()[-300:]}")
            print(picture)


if __name__ == "__main__":
    report()
