"""README's first screen in psql: it works as printed, and ends as printed."""

import re
from pathlib import Path

from tests.psql.typing_person import Psql
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_first_screen_works_as_printed(proxy: Proxy, written: Cluster, newest: Psql) -> None:
    screen = re.search(r"```sql\n\$ psql .*?\n(.*?)```", README.read_text(), re.DOTALL)
    assert screen is not None
    lines = screen[1].splitlines()
    typed = [line.partition("> ")[2] for line in lines if line.startswith("shop=")]
    printed = [line for line in lines if not line.startswith("shop=")]
    *works, refused = typed
    said = newest.run(proxy.dsn(), "\n".join(works))
    assert "ERROR" not in said
    assert "UPDATE 1\nCOMMIT\n" in said
    assert newest.run(proxy.dsn(), refused).splitlines() == printed
