"""The console's limits on guessing and haste, its words, and where it may lead."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ostiary.http
from ostiary.errors import PasswordWeak, TooManyAttempts
from ostiary.http.authenticator import check_strength, new_code, same_code
from ostiary.http.sign_in import own_page
from ostiary.http.texts import LANGUAGES, Texts, language_of
from ostiary.limits.lock_out import FIRST_LOCK_S, LONGEST_LOCK_S, REMEMBERED, LockOut
from ostiary.limits.rate import RateLimit

ROOM = Path(ostiary.http.__file__).parent


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def attempt(lock_out: LockOut, key: str, times: int) -> None:
    for _ in range(times):
        lock_out.attempt(key)


def test_so_many_failures_lock_and_a_minute_unlocks(clock: Clock) -> None:
    lock_out = LockOut(3, clock)
    attempt(lock_out, "anna", 3)
    with pytest.raises(TooManyAttempts):
        lock_out.attempt("anna")
    lock_out.attempt("bert")
    clock.now += FIRST_LOCK_S + 1
    lock_out.attempt("anna")


def test_each_further_failure_locks_for_longer_up_to_a_limit(clock: Clock) -> None:
    lock_out = LockOut(3, clock)
    attempt(lock_out, "anna", 3)
    clock.now += FIRST_LOCK_S + 1
    lock_out.attempt("anna")
    clock.now += FIRST_LOCK_S + 1
    with pytest.raises(TooManyAttempts):
        lock_out.attempt("anna")
    for _ in range(20):
        clock.now += LONGEST_LOCK_S + 1
        lock_out.attempt("anna")


def test_success_forgets_the_failures(clock: Clock) -> None:
    lock_out = LockOut(3, clock)
    attempt(lock_out, "anna", 2)
    lock_out.succeeded("anna")
    attempt(lock_out, "anna", 3)


def test_many_names_do_not_fill_the_memory(clock: Clock) -> None:
    lock_out = LockOut(3, clock)
    for number in range(REMEMBERED + 50):
        lock_out.attempt(f"name {number}")
    assert len(lock_out._known) <= REMEMBERED + 1


def test_requests_are_limited_to_a_rate_with_a_burst(clock: Clock) -> None:
    rate = RateLimit(2.0, 6, clock)
    taken = [rate.take("a") for _ in range(7)]
    assert taken[:6] == [0.0] * 6
    assert 0 < taken[6] <= 0.5
    assert rate.take("b") == 0.0
    clock.now += 0.5
    assert rate.take("a") == 0.0
    assert rate.take("a") > 0.0


@given(st.lists(st.floats(0, 2), max_size=200))
def test_no_more_than_the_rate_and_one_burst_ever_pass(steps: list[float]) -> None:
    clock = Clock()
    rate = RateLimit(5.0, 15, clock)
    passed = 0
    begin = clock.now
    for step in steps:
        clock.now += step
        passed += rate.take("a") == 0.0
    assert passed <= 5.0 * (clock.now - begin) + 15 + 1


def test_a_code_is_the_same_however_it_is_typed() -> None:
    code = new_code()
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}", code)
    assert same_code(code.lower().replace("-", "  "), code)
    assert not same_code(new_code(), code)
    assert not same_code("", code)
    assert not same_code("\ud800", code)


@pytest.mark.parametrize("password", ["", "short", "annaannaanna", "abababababab", "x" * 201])
def test_a_password_that_is_easily_guessed_is_refused(password: str) -> None:
    with pytest.raises(PasswordWeak):
        check_strength(password, "AnnaAnnaAnna")


def test_a_few_words_are_a_good_password() -> None:
    check_strength("three blue doors", "anna")
    check_strength("三扇蓝色的门在左边左边", "anna")


@given(st.text())
def test_a_page_to_lead_to_is_never_on_another_site(url: str) -> None:
    page = own_page(url)
    assert page.startswith("/")
    assert not page.startswith(("//", "/\\"))
    assert not re.search(r"[\s\\]", page) or page.isprintable()


@pytest.mark.parametrize("url", ["/../other", "/people/%2e%2e/%2E./other", "/./people", "/.."])
def test_a_page_to_lead_to_is_never_above_the_console(url: str) -> None:
    assert own_page(url) == "/"
    assert own_page("/people/a..b?back=/../x") == "/people/a..b?back=/../x"


# --- words ----------------------------------------------------------------------------------


def test_every_text_is_in_every_language_with_the_same_blanks() -> None:
    texts = Texts()
    english = texts.keys("en")
    for language in LANGUAGES:
        assert texts.keys(language) == english
        for key in english:
            blanks = [
                set(re.findall(r"\{(\w+)\}", texts.find(code, key) or ""))
                for code in ("en", language)
            ]
            assert blanks[0] == blanks[1], key


def test_no_sentence_is_there_twice() -> None:
    """But for the first version's answers, which are as they were."""
    texts = Texts()
    for language in LANGUAGES:
        said = Counter(
            text
            for key in texts.keys(language)
            if not key.startswith("legacy.")
            and len(text := texts.raw(language, key)) > (18 if language == "en" else 7)
        )
        assert [text for text, count in said.items() if count > 1] == []


def test_only_searches_are_sent_in_the_address() -> None:
    """A form that a script sends does nothing until the script is there: `dialog`."""
    for file in (ROOM / "templates").glob("*.html"):
        for form in re.findall(r"<form\b[^>]*>", file.read_text("utf-8")):
            method = re.search(r'method="(\w+)"', form)
            assert method, (file.name, form)
            if method[1] == "get":
                assert file.name in {"events.html", "people.html"}


def test_a_form_that_a_script_sends_is_inert_until_the_script_is_there() -> None:
    for file in (ROOM / "templates").glob("*.html"):
        if file.name == "base.html":
            continue  # its dialogues are opened by scripts
        for form in re.findall(r"<form\b[^>]*>", file.read_text("utf-8")):
            if 'method="dialog"' in form:
                assert " inert " in form, (file.name, form)


def test_every_text_that_a_page_or_script_names_exists() -> None:
    keys = Texts().keys("en")
    used: set[str] = set()
    for file in (ROOM / "templates").glob("*.html"):
        used |= set(re.findall(r"\bt\(['\"]([\w.]+)['\"][,)]", file.read_text("utf-8")))
    for file in (ROOM / "static").glob("*.js"):
        text = file.read_text("utf-8")
        used |= set(re.findall(r"\bsay\(['\"]([\w.]+)['\"][,)]", text))
    assert len(used) > 100
    assert used <= keys


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("de,zh;q=0.5,en;q=0.4", "zh"),
        ("de", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nonsense, en;q=0.1", "en"),
    ],
)
def test_the_language_is_the_browsers_best(header: str, language: str) -> None:
    assert language_of(header, default="en") == language


def test_pages_load_nothing_from_elsewhere() -> None:
    for file in [*(ROOM / "templates").glob("*"), *(ROOM / "static").glob("*")]:
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]", text), file
        assert "innerHTML" not in text
        assert not re.search(r"\sstyle=|\son\w+=", text), file
