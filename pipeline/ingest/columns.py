"""The role of each column of a table: from `ingest.columns`, or by its usual names."""

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
"""Roles of an item's texts. A column with the role's own name wins; other usual names stay further texts."""

Given = Mapping[str, str | int | None]
"""The param `ingest.columns`: the name of each role's column, or its number in a table without names; null: none."""


def plain(name: str) -> str:
    """Return a name in lower case, without `_`, `-`, white space and the type that RecBole adds."""
    return re.sub(r"[\s_-]", "", name.partition(":")[0]).lower()


def find_columns(
    names: Sequence[str],
    place: str,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    given: Given | None = None,
) -> dict[str, str]:
    """Return the name of each role's column; `needed` roles must have one, `optional` roles may.

    Raises:
        DataError: a needed role has no column, a role has several columns, a column has several roles, or a given name
            is missing.
    """
    given, found, absent = dict(given or {}), {}, []
    if isinstance(given.get("item"), str) and given["item"] not in names:
        del given["item"]  # it may be the column of the other table
    for role in dict.fromkeys((*needed, *optional)):
        if role in given:
            if (name := given[role]) is not None:
                found[role] = str(name)
                if str(name) not in names:
                    what = f"column {quote(str(name))}, which ingest.columns names, is"
                    raise _missing(what, names, place, needed, [role])
            continue
        fitting = [name for name in names if plain(name) in USUAL[role]]
        if role in EXACT and role in fitting:
            fitting = [role]
        if len(fitting) > 1:
            what = f"has {len(fitting)} columns that can be the {role}: {' and '.join(fitting)}"
            raise DataError(what, place, f"say which: ingest.columns: {{{role}: {fitting[0]}}}")
        if fitting:
            found[role] = fitting[0]
        elif role in needed:
            absent.append(role)
    if absent:
        several = len(absent) > 1
        what = f"column{'s' * several} {', '.join(absent)} {'are' if several else 'is'}"
        raise _missing(what, names, place, needed, absent)
    for name in found.values():
        twice = [role for role in found if found[role] == name]
        if len(twice) > 1:
            what = f"column {quote(name)} is to be both {' and '.join(twice)}"
            raise DataError(what, place, "name another column in ingest.columns")
    return found


def _missing(
    what: str, names: Sequence[str], place: str, needed: Sequence[str], absent: Sequence[str]
) -> DataError:
    yours = ", ".join(f"{role}: NAME" for role in absent)
    remedy = f"name columns {', '.join(needed)}, or say what yours are called: ingest.columns: {{{yours}}}"
    return DataError(f"{what} missing; there are {', '.join(map(quote, names[:20]))}", place, remedy)
