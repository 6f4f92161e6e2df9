"""What is waited for, and the words in what comes."""

import json
import time

from dashboard.services.computations import Pending


def deadline(ready, seconds=60):
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.1)


def there(get):
    """A result, asked for until it is there."""
    for _ in range(300):
        try:
            return get()
        except Pending:
            time.sleep(0.1)
    raise AssertionError("still under way")


def text_of(part):
    """All words in a part of a page, as a callback answers it or as Python makes it."""
    if hasattr(part, "to_plotly_json"):
        return text_of(part.to_plotly_json())
    if isinstance(part, dict):
        return text_of(part.get("props", part).get("children")) if "props" in part else ""
    if isinstance(part, list | tuple):
        return "".join(map(text_of, part))
    return "" if part is None else str(part)


def json_of(parts):
    """Parts of a page as JSON."""
    return json.dumps(parts, default=lambda part: part.to_plotly_json(), ensure_ascii=False)
