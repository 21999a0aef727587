"""The words of SQL that a console knows: keywords, and functions with what they do."""

from types import MappingProxyType

_KEYWORDS = """
ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CROSS CURRENT CURRENT_DATE CURRENT_TIME
CURRENT_TIMESTAMP DESC DISTINCT ELSE END ESCAPE EXCEPT EXISTS EXPLAIN FILTER FIRST FOLLOWING FROM
FULL GLOB GROUP HAVING IN INNER INTERSECT IS ISNULL JOIN LAST LEFT LIKE LIMIT MATCH MATERIALIZED
NATURAL NOT NOTNULL NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PLAN PRECEDING QUERY RANGE
RECURSIVE REGEXP RIGHT ROW ROWS SELECT THEN UNBOUNDED UNION USING VALUES WHEN WHERE WINDOW WITH
"""

KEYWORDS = frozenset(_KEYWORDS.split())
"""Keywords of the statements that only read."""

_CONTINUING = """
ALL AND AS BETWEEN BY CASE COLLATE CROSS DISTINCT ELSE ESCAPE EXCEPT EXPLAIN FROM FULL GLOB
GROUP HAVING IN INNER INTERSECT IS JOIN LEFT LIKE LIMIT MATCH NATURAL NOT OFFSET ON OR ORDER
OUTER OVER PARTITION PLAN QUERY REGEXP RECURSIVE RIGHT SELECT THEN UNION USING VALUES WHEN
WHERE WITH
"""
CONTINUING = frozenset(_CONTINUING.split())
"""Keywords that cannot end a statement."""

_RESERVED = """
ADD ALL ALTER AND AS BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DELETE
DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO
IS ISNULL JOIN LIMIT NOT NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE
THEN TO TRANSACTION UNION UNIQUE UPDATE USING VALUES WHEN WHERE
"""
RESERVED = frozenset(_RESERVED.split())
"""Names that SQLite takes only in quotes."""

FUNCTIONS = MappingProxyType(
    {
        "abs": ("abs(x)", "x without its sign"),
        "avg": ("avg(x)", "mean of all x that are not NULL"),
        "basename": ("basename(path)", "last component of a path"),
        "char": ("char(n, ...)", "text of the given code points"),
        "cidr_contains": (
            "cidr_contains(network, address)",
            "whether the network holds the address",
        ),
        "coalesce": ("coalesce(x, y, ...)", "first argument that is not NULL"),
        "concat": ("concat(x, ...)", "arguments joined, NULL left out"),
        "count": ("count(x)", "how many rows; with an argument, how many are not NULL"),
        "date": ("date(time)", "day of a time that SQLite understands"),
        "datetime": ("datetime(time)", "date and time; see also iso()"),
        "dirname": ("dirname(path)", "path without its last component"),
        "format": ("format(form, ...)", "text as printf would write it"),
        "group_concat": ("group_concat(x, separator)", "all x of the group joined"),
        "hex": ("hex(x)", "bytes of x in hexadecimal"),
        "ifnull": ("ifnull(x, y)", "x, or y where x is NULL"),
        "iif": ("iif(condition, x, y)", "x where the condition holds, else y"),
        "instr": ("instr(text, part)", "where part is in text, counted from 1; else 0"),
        "ip_version": ("ip_version(address)", "4 or 6; NULL if it is no address"),
        "iso": ("iso(time)", "a time column as text, RFC 3339 in UTC"),
        "json_array_length": ("json_array_length(json, path)", "number of elements"),
        "json_each": ("json_each(json, path)", "a table of the elements; '$.value' for sets"),
        "json_extract": ("json_extract(json, path)", "the value at a path"),
        "json_group_array": ("json_group_array(x)", "all x of the group as a JSON array"),
        "json_object": ("json_object(name, value, ...)", "a JSON object"),
        "lag": ("lag(x, n)", "x of the row n before, with OVER"),
        "lead": ("lead(x, n)", "x of the row n after, with OVER"),
        "length": ("length(x)", "number of characters, or of bytes of a blob"),
        "lower": ("lower(text)", "text in lower case"),
        "ltrim": ("ltrim(text, letters)", "text without leading letters, else white space"),
        "max": ("max(x, ...)", "largest"),
        "median": ("median(x)", "middle value of the group"),
        "min": ("min(x, ...)", "smallest"),
        "nullif": ("nullif(x, y)", "NULL where x = y, else x"),
        "percentile": ("percentile(x, p)", "value that p percent of the group do not exceed"),
        "printf": ("printf(form, ...)", "same as format()"),
        "quote": ("quote(x)", "x as SQL writes it"),
        "rank": ("rank()", "rank of the row, with OVER"),
        "regexp": (
            "regexp(pattern, text)",
            "whether the pattern matches; also text REGEXP pattern",
        ),
        "replace": ("replace(text, old, new)", "text with old replaced"),
        "round": ("round(x, digits)", "x rounded"),
        "row_number": ("row_number()", "number of the row, with OVER"),
        "rtrim": ("rtrim(text, letters)", "text without trailing letters, else white space"),
        "seconds": ("seconds(interval)", "an interval column in seconds"),
        "strftime": ("strftime(form, time)", "a time in a form of your own"),
        "substr": ("substr(text, start, length)", "part of text, counted from 1"),
        "sum": ("sum(x)", "sum of the group, NULL if there is none"),
        "total": ("total(x)", "sum of the group, 0.0 if there is none"),
        "trim": ("trim(text, letters)", "text without letters at both ends, else white space"),
        "typeof": ("typeof(x)", "how SQLite stores x"),
        "unixepoch": ("unixepoch(time)", "seconds since 1970"),
        "upper": ("upper(text)", "text in upper case"),
    }
)
"""Name to signature and meaning."""
