from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gristmill.http.docs_page import DOCS_ASSETS, DOCS_HEADERS, DOCS_PAGE, docs_asset
from gristmill.http.openapi import openapi_document
from gristmill.model.limits import Limits

NAMES = sorted({DOCS_PAGE, *DOCS_ASSETS})
SCRIPTS = sorted(name for name in DOCS_ASSETS if name.endswith(".js"))


class Echo:
    name = "echo"
    description = ""
    item_type = str
    result_type = str
    limits = Limits()


def text_of(name):
    return docs_asset(name)[1].decode()


class Tags(HTMLParser):
    """Collects (tag, attributes) and the text inside scripts and styles."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.embedded = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.embedded += data.strip()


@pytest.fixture
def page():
    parser = Tags()
    parser.feed(text_of(DOCS_PAGE))
    return parser


def attributes(page, name):
    return [given[name] for _, given in page.tags if name in given]


def test_each_file_says_what_it_is():
    assert {name: docs_asset(name)[0].partition(";")[0] for name in NAMES} == {
        "page.html": "text/html",
        "page.css": "text/css",
        "page.js": "text/javascript",
        "dom.js": "text/javascript",
        "try.js": "text/javascript",
        "page.svg": "image/svg+xml",
    }


@pytest.mark.parametrize("name", ["../docs_page.py", "__init__.py", "/etc/passwd", "", "page.JS"])
def test_no_other_file_can_be_had(name):
    with pytest.raises(KeyError):
        docs_asset(name)


def test_links_are_relative_and_lead_to_the_document_or_to_a_file_of_the_page(page):
    links = {link for link in attributes(page, "href") + attributes(page, "src") if not link.startswith("#")}

    assert links == {"openapi.json", "docs/page.css", "docs/page.js", "docs/page.svg"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere(name):
    text = text_of(name).replace('xmlns="http://www.w3.org/2000/svg"', "")

    assert re.search(r"https?:|//[a-z]|@import|\burl\(['\"a-z]", text.replace("// ", "")) is None


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_files_of_the_page_only(name):
    imported = re.findall(r'from "\./([^"]+)"', text_of(name))

    assert set(imported) < DOCS_ASSETS
    assert len(imported) == len(re.findall(r"\bimport\b", text_of(name)))


def test_the_policy_holds_as_nothing_is_inline(page):
    assert page.embedded == ""
    assert all("src" in given for tag, given in page.tags if tag == "script")
    assert not [name for _, given in page.tags for name in given if name.startswith("on") or name == "style"]
    assert DOCS_HEADERS["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in DOCS_HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_texts_can_only_become_text(name):
    forbidden = r"(inner|outer|Adjacent)HTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|\.style\b"

    assert re.search(forbidden, text_of(name)) is None


def test_without_scripts_the_page_says_where_the_document_is(page):
    inside = text_of(DOCS_PAGE).partition("<noscript>")[2].partition("</noscript>")[0]

    assert 'href="openapi.json"' in inside


def test_the_page_names_its_language_and_its_regions(page):
    assert ("html", {"lang": "en"}) in page.tags
    assert {"Handlers"} <= set(attributes(page, "aria-label"))
    assert "#content" in attributes(page, "href")
    assert "content" in attributes(page, "id")


def test_the_script_finds_the_places_the_page_has(page):
    wanted = set(re.findall(r'getElementById\("([^"]+)"\)', "".join(map(text_of, SCRIPTS))))

    assert wanted
    assert wanted <= set(attributes(page, "id"))


def test_the_script_has_a_style_for_every_class_it_gives():
    given = set(re.findall(r'class: "([a-z ]+)"', "".join(map(text_of, SCRIPTS))))
    styled = set(re.findall(r"\.([a-z]+[a-z0-9]*)", text_of("page.css")))

    assert {name for names in given for name in names.split()} - styled <= {"output"}


def test_the_script_reads_the_extensions_the_document_writes():
    read = set(re.findall(r'"(x-[a-z-]+)"', text_of("page.js")))
    written = set(re.findall(r"'(x-[a-z-]+)'", str(openapi_document([Echo()]))))

    assert read == written == {"x-item-schema", "x-limits"}


def test_both_colour_schemes_define_the_same_colours():
    light, _, dark = text_of("page.css").partition("@media (prefers-color-scheme: dark)")
    in_dark = set(re.findall(r"(--[a-z]+): #", dark))

    assert in_dark == set(re.findall(r"(--[a-z]+): #", light))
