"""The role of each column of a table: from `ingest.columns` or `ingest.item_columns`, or by its usual names."""

import re
from collections.abc import Mapping, Sequence

from ..core.errors import DataError, quote

USUAL: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "customer", "customerid", "client", "clientid", "visitor", "visitorid"),
        *("reviewer", "reviewerid", "member", "memberid", "buyer", "buyerid", "profileid", "accountid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movieid", "product", "productid", "asin", "parentasin", "sku", "skuid"),
        *("stockcode", "articleid", "bookid", "businessid", "songid", "trackid", "artistid", "videoid"),
        *("gameid", "newsid", "isbn"),
    ),
    "timestamp": (
        *("timestamp", "ts", "time", "datetime", "date", "unixreviewtime", "invoicedate", "eventtime"),
        *("eventtimestamp", "eventdate", "eventts", "playedat", "createdat", "orderdate", "purchasedate"),
        *("transactiondate", "tdat"),
    ),
    "rating": ("rating", "ratings", "overall", "stars", "score"),
    "title": ("title", "itemtitle", "movietitle", "producttitle", "itemname", "productname"),
    "year": ("year", "releaseyear"),
    "genres": ("genres", "genre"),
}
"""Usual names of each role's column, in the form of `plain`."""

EXACT = ("title", "year", "genres")
"""Roles of an item's texts. A column with the role's own name wins; other usual names are names of further texts."""

Given = Mapping[str, str | int | None]
"""One of these params: the name of each role's column, or its number in a table without names; null: none."""


def plain(name: str) -> str:
    """Return a name in lower case, without `_`, `-`, white space and the type that RecBole adds."""
    return re.sub(r"[\s_-]", "", name.partition(":")[0]).lower()


def find_columns(
    names: Sequence[str],
    place: str,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    given: Given | None = None,
    key: str = "ingest.columns",
    shared: bool = True,
) -> dict[str, str]:
    """Return the name of each role's column; `needed` roles must have one, `optional` roles may.

    `key`: the param that remedies name. `shared`: `given` is `ingest.columns` for the tables of interactions and of
    items, so that its item may be a column of the other table.

    Raises ``DataError`` if a needed role has no column, a role has several columns, a column has several roles, or a
    given name is missing.
    """
    given, found, absent = dict(given or {}), {}, []
    elsewhere = None
    if shared and isinstance(given.get("item"), str) and given["item"] not in names:
        elsewhere = given.pop("item")

    def missing(what: str, roles: Sequence[str]) -> DataError:
        yours = ", ".join(f"{role}: NAME" for role in roles)
        remedy = (
            f"name columns {', '.join(needed)}, or say what yours are called: {key}: {{{yours}}}; in a text file"
            f" without a line of names, columns have numbers: {{{yours.replace('NAME', 'NUMBER')}}}"
        )
        return DataError(f"{what} missing; there are {', '.join(map(quote, names[:20]))}", place, remedy)

    for role in dict.fromkeys((*needed, *optional)):
        fitting = [name for name in names if plain(name) in USUAL[role]]
        if role in given:
            fitting = [] if given[role] is None else [str(given[role])]
        elif role in EXACT and role in fitting:
            fitting = [role]
        if not fitting:
            if role in needed:
                absent.append(role)
            continue
        name = fitting[0]
        if len(fitting) > 1:
            what = f"has {len(fitting)} columns that can be the {role}: {' and '.join(fitting)}"
            fullest = min(fitting, key=lambda each: "date" in plain(each).replace("datetime", ""))
            raise DataError(what, place, f"say which: {key}: {{{role}: {fullest}}}")
        if name not in names:
            named = "ingest.columns" if shared else key
            raise missing(f"column {quote(name)}, which {named} names, is", [role])
        if name in found:
            what = f"column {quote(name)} is to be both {found[name]} and {role}"
            raise DataError(what, place, f"name another column in {key}")
        found[name] = role
    if "item" in absent and elsewhere is not None:
        raise missing(f"column {quote(elsewhere)}, which ingest.columns names, is", ["item"])
    if absent:
        what = f"column {absent[0]} is" if len(absent) == 1 else f"columns {', '.join(absent)} are"
        raise missing(what, absent)
    return {role: name for name, role in found.items()}
