"""Pictures of parts of a report, as the gallery takes them."""

from io import BytesIO

import pytest
from PIL import Image
from tools.gallery.pictures import take_pictures
from tools.gallery.shown import TOP, Picture, Shown

from nearfar.errors import NearfarError
from nearfar.report.build import write_report

pytestmark = pytest.mark.browser


def test_sections_are_found_by_their_heading_and_cut_where_they_are_long(
    browser, digits_run, tmp_path
):
    def shown(*pictures):
        return Shown("digits", "nearfar train simclr-digits --out runs/digits", pictures)

    def size(name):
        with Image.open(BytesIO((tmp_path / f"{name}.webp").read_bytes())) as picture:
            assert picture.format == "WEBP"
            return picture.size

    wanted = shown(
        Picture("top", TOP, 5000),
        Picture("near", "Nearest neighbours", 5000),
        Picture("cut", "Nearest neighbours", 200),
    )
    report = tmp_path / "report.html"
    write_report([digits_run], report)
    take_pictures(browser, wanted, report, tmp_path)
    assert size("cut") == (1000, 200)
    assert 300 < size("near")[1] < 5000
    assert 300 < size("top")[1] < 5000
    with pytest.raises(NearfarError, match="no section 'Nowhere'"):
        take_pictures(browser, shown(Picture("x", "Nowhere")), report, tmp_path)
    with pytest.raises(NearfarError, match="no report at"):
        take_pictures(browser, wanted, tmp_path / "none.html", tmp_path)
