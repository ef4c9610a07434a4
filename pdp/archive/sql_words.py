"""What a statement of an auditor may be made of: a closed list, since an engine gains functions with every version.

Left out on purpose: what reads files, settings, variables or the environment, what reaches relations by a text
(`query`, `query_table`, `json_execute_serialized_sql`), what waits, logs or fails at will, what is internal, and what
works on one value for longer than a deadline without looking up (`lpad`, `repeat`, `printf`, `levenshtein`: measured).
"""

from __future__ import annotations

from typing import Final

NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE"})
"""No recursion: a log has no trees, and one that never ends is easily written."""

SOURCES: Final = frozenset({"EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST", "TABLE_FUNCTION"})
TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})
"""As relations only: as a value, a range is a list that no bound of memory stops."""

OTHERS: Final = frozenset(
    {
        *("ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"),
        *("ORDER_DEFAULT", "ASCENDING", "DESCENDING"),
        *("DECIMAL_TYPE_INFO", "STRING_TYPE_INFO", "LIST_TYPE_INFO", "STRUCT_TYPE_INFO", "ARRAY_TYPE_INFO"),
    }
)

EXPRESSIONS: Final = frozenset(
    {
        *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION"),
        *("LAMBDA", "LAMBDA_REF", "OPERATOR", "PARAMETER", "STAR", "SUBQUERY", "TYPE", "WINDOW"),
    }
)

_OPERATORS: Final = "!~~ !~~* % & ** * + - -> ->> / // << >> <@ @> ^ ^@ | || ~ ~~ ~~* ~~~ like_escape ilike_escape"
_NEGATED: Final = "not_like_escape not_ilike_escape"
_AGGREGATES: Final = """
    any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_min array_agg avg bit_and bit_or
    bit_xor bool_and bool_or corr count count_if count_star countif entropy first histogram kurtosis last list mad max
    max_by mean median min min_by mode quantile quantile_cont quantile_disc skewness stddev stddev_pop stddev_samp
    group_concat listagg string_agg sum var_pop var_samp variance
"""
_WINDOWS: Final = """
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
"""
_TEXTS: Final = """
    array_to_string ascii bit_length chr concat concat_ws contains ends_with hamming instr jaccard
    jaro_winkler_similarity lcase left length len lower ltrim md5 nfc_normalize position prefix
    regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
    replace reverse right rtrim sha1 sha256 split split_part starts_with str_split string_split strip_accents
    strlen strpos substr substring suffix translate trim ucase unicode upper url_decode url_encode
    hex unhex to_hex from_hex base64 to_base64 from_base64 encode decode
"""
_NUMBERS: Final = """
    abs bin cbrt ceil ceiling divide even exp fdiv floor fmod gcd greatest isfinite isinf isnan lcm least ln log log10
    log2 mod pow power round sign sqrt trunc
"""
_TIMES: Final = """
    age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_us hour isodow isoyear julian last_day make_date
    make_time make_timestamp microsecond millisecond minute month monthname quarter second strftime strptime
    time_bucket timezone to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds
    to_timestamp to_weeks to_years try_strptime week weekday weekofyear year yearweek uuid_extract_timestamp
    uuid_extract_version
"""
_LISTS: Final = """
    array_length cardinality element_at flatten list_aggregate list_append list_concat list_contains list_count
    list_distinct list_element list_extract list_filter list_has list_has_all list_has_any list_indexof list_intersect
    list_max list_min list_position list_prepend list_reduce list_reverse_sort list_slice list_sort list_sum
    list_transform list_unique list_value list_zip array_extract array_slice map map_entries map_extract
    map_from_entries map_keys map_values row struct_extract struct_pack unnest
"""
_DOCUMENTS: Final = """
    json json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text
    json_extract_string json_keys json_object json_type json_valid json_value to_json
"""
_CHOICES: Final = "coalesce if ifnull nullif constant_or_null typeof"

FUNCTIONS: Final = frozenset(
    " ".join(
        (*(_OPERATORS, _NEGATED, _AGGREGATES, _WINDOWS, _TEXTS, _NUMBERS, _TIMES, _LISTS, _DOCUMENTS, _CHOICES),)
    ).split()
)
