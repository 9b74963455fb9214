"""Broken members of an archive in MovieLens-1M's layout: the member, its edit, and the message."""

from collections.abc import Callable


def replace(old: bytes, new: bytes, count: int = -1) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, count)

    return edit


def append(line: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content + line


MEMBERS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "other separator": (
        "ratings.dat",
        replace(b"::", b","),
        r"line 1: 1 instead of 4 columns.* \(and 9 more lines",
    ),
    "missing column": (
        "ratings.dat",
        replace(b"2::9::1::", b"2::9::"),
        "line 6: 3 instead of 4 columns: '2::9::",
    ),
    "extra column": ("users.dat", replace(b"::70072", b"::70072::x"), "line 2: 6 instead of 5 columns"),
    "separator in a title": ("movies.dat", replace(b"Robot ", b"Robot::"), "line 2: 4 instead of 3 columns"),
    "blank line": ("ratings.dat", replace(b"\n2::3", b"\n\n2::3"), "line 5: 1 instead of 4 columns: ''"),
    "two blank lines at the end": ("ratings.dat", append(b"\n\n"), "line 11: 1 instead of 4 columns"),
    "header line": (
        "ratings.dat",
        lambda content: b"UserID::MovieID::Rating::Timestamp\n" + content,
        "line 1, column UserID: 'UserID' is not a whole number",
    ),
    "empty movies": ("movies.dat", lambda _: b"", "movies.dat: table has no rows"),
    "empty users": ("users.dat", lambda _: b"\n", "users.dat, line 1: 1 instead of 5 columns: ''"),
    "empty ratings": ("ratings.dat", lambda _: b" \n ", "ratings.dat, line 1: 1 instead of 4 columns: ' '"),
    "text as a rating": (
        "ratings.dat",
        replace(b"::2::978301968", b"::two::978301968"),
        "line 4, column Rating: 'two'",
    ),
    "rating 0": ("ratings.dat", replace(b"2::9::1", b"2::9::0"), "line 6, column Rating: '0' .* from 1 to 5"),
    "rating 6": ("ratings.dat", replace(b"2::9::1", b"2::9::6"), "line 6, column Rating: '6'"),
    "half a star": ("ratings.dat", replace(b"2::9::1", b"2::9::1.5"), "line 6, column Rating: '1.5'"),
    "rating missing": ("ratings.dat", replace(b"2::9::1::", b"2::9::::"), "line 6, column Rating: ''"),
    "rating NaN": ("ratings.dat", replace(b"2::9::1::", b"2::9::nan::"), "line 6, column Rating: 'nan'"),
    "timestamp missing": ("ratings.dat", replace(b"978200001", b""), "line 8, column Timestamp: ''"),
    "timestamp 0": ("ratings.dat", replace(b"978200001", b"0"), "line 8, column Timestamp: '0'"),
    "negative timestamp": ("ratings.dat", replace(b"978200001", b"-978200001"), "line 8, column Timestamp"),
    "milliseconds": (
        "ratings.dat",
        replace(b"978200001", b"978200001000"),
        r"line 8, column Timestamp: '978200001000'.*not milliseconds",
    ),
    "date": ("ratings.dat", replace(b"978200001", b"2000-12-30"), "line 8, column Timestamp: '2000-12-30'"),
    "user 0": ("ratings.dat", replace(b"4::1::5", b"0::1::5"), "line 10, column UserID: '0'"),
    "negative movie": ("movies.dat", replace(b"9::Sand", b"-9::Sand"), "line 4, column MovieID: '-9'"),
    "overflow of 32 bits": (
        "ratings.dat",
        replace(b"4::1::5", b"2147483648::1::5"),
        "line 10, column UserID",
    ),
    "overflow of 64 bits": (
        "ratings.dat",
        replace(b"4::1::5", b"9" * 30 + b"::1::5"),
        "line 10, column UserID",
    ),
    "spaces around": ("ratings.dat", replace(b"::", b" :: "), r"line 1, column UserID: '1 '.*\(and 9 more"),
    "id in exponents": ("movies.dat", replace(b"9::Sand", b"9e0::Sand"), "line 4, column MovieID: '9e0'"),
    "unknown movie": (
        "ratings.dat",
        replace(b"4::1::5", b"4::2::5"),
        r"line 10, column MovieID: 2 is not .*movies.dat",
    ),
    "unknown user": (
        "ratings.dat",
        append(b"5::1::5::978100000\n"),
        "line 11, column UserID: 5 is not .*users.dat",
    ),
    "row twice": (
        "ratings.dat",
        append(b"4::1::5::978100000\n"),
        "line 11: UserID '4', MovieID '1' .* on line 10",
    ),
    "rated twice": (
        "ratings.dat",
        append(b"1::1::1::978400000\n"),
        "line 11: UserID '1', MovieID '1' .* on line 2",
    ),
    "movie twice": ("movies.dat", append(b"3::Other (1990)::Drama\n"), "line 6: MovieID 3 .* on line 2"),
    "user twice": ("users.dat", append(b"4::M::25::1::10001\n"), "line 5: UserID 4 .* on line 4"),
    "gender": ("users.dat", replace(b"2::M", b"2::male"), "line 2, column Gender: 'male' is not one of F, M"),
    "age": ("users.dat", replace(b"::56::", b"::old::"), "line 2, column Age: 'old'"),
    "empty title": ("movies.dat", replace(b"Sand (1999)", b""), "line 4, column Title: no title"),
    "only a year": ("movies.dat", replace(b"Sand (1999)", b" (1999)"), "line 4, column Title: no title"),
    "impossible year": (
        "movies.dat",
        replace(b"(1999)", b"(0199)"),
        "line 4, column Title: the year 199 is not",
    ),
    "empty genre": ("movies.dat", replace(b"Drama|", b"Drama||"), "line 1, column Genres: a genre is empty"),
    "genre twice": ("movies.dat", replace(b"|Romance", b"|Drama"), "line 1, column Genres: .* named twice"),
    "UTF-8": (
        "movies.dat",
        lambda content: content.decode("latin-1").encode("utf-8"),
        "movies.dat, line 3: is encoded in UTF-8",
    ),
    "byte order mark": (
        "ratings.dat",
        lambda content: b"\xef\xbb\xbf" + content,
        "line 1: .* byte order mark",
    ),
    "UTF-16": ("movies.dat", lambda content: content.decode("latin-1").encode("utf-16"), "byte order mark"),
    "Windows-1252": (
        "movies.dat",
        replace(b"Sand", b"\x93Sand\x94"),
        "line 4: has the control character 0x93",
    ),
    "zero byte": ("users.dat", replace(b"2::M", b"2::M\0"), "line 2: has the control character 0x00"),
    "old Mac line ends": ("ratings.dat", replace(b"\n", b"\r"), "line 1: has the control character 0x0d"),
    "a very long line": (
        "ratings.dat",
        replace(b"4::1::5", b"4::1::" + b"x" * 10**6),
        r"column Rating: 'x{57}\.\.\.'",
    ),
}
