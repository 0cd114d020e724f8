"""From what people write to sources and sinks: paths, patterns, ``-`` and URLs."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from gristmill.batching.columnar import arrow
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.formats.compression import Compression
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.dead_letter_form import DeadLetterForm
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.naming import Format, compression_of, format_of
from gristmill.streams.formats.ndjson_form import LineForm
from gristmill.streams.formats.text_output import TextOutput
from gristmill.streams.options import ReadOptions, WriteOptions
from gristmill.streams.sinks.appending import Appending
from gristmill.streams.sinks.file import FileSink
from gristmill.streams.sinks.protocol import Sink
from gristmill.streams.sinks.unkept import STANDARD_OUTPUT, DeviceOutput, StandardOutput, is_device, unkept
from gristmill.streams.sources.protocol import Source
from gristmill.streams.sources.table_files import TableFiles
from gristmill.streams.sources.text_file import STANDARD, TextFiles, TextForm
from gristmill.streams.sources.typed_text import CsvColumnFiles, LineColumnFiles
from gristmill.streams.sql.address import is_database
from gristmill.streams.sql.opening import sql_sink, sql_source

_OF_CSV = ("delimiter", "quoting", "encoding", "on_duplicate", "header", "pad", "extra")
"""Options of reading that are of CSV."""


def source_of(inputs: Sequence[str | Path], options: ReadOptions, *, is_columnar: bool = False) -> Source:
    """Return the source that *inputs* name: files, patterns, a database, or ``-`` for standard input.

    Args:
        inputs: What people wrote.
        options: How they are read.
        is_columnar: Whether the handler takes columns.

    Raises:
        SourceError: There is no such file, or no file of a pattern.
        ConfigurationError: Their format is not known, or not one.
    """
    if any(is_database(str(each)) for each in inputs):
        if len(inputs) > 1:
            raise ConfigurationError("a database cannot be one of several inputs; run it alone")
        _check_unused(
            options, (*_OF_CSV, "select", "rename"), "a database; say with a query what is read of it"
        )
        return sql_source(str(inputs[0]), query=options.query, table=options.table)
    if options.query is not None or options.table is not None:
        raise ConfigurationError(
            "a query or a table is of a database: give postgresql://... or sqlite:///... as input"
        )
    paths = expanded([str(each) for each in inputs])
    form = _common_format(paths, options)
    if form not in (Format.CSV, Format.TSV, Format.DEAD_LETTER):
        _check_unused(options, _OF_CSV, f"{form.value}; leave it out")
    if form in (Format.CSV, Format.TSV, Format.NDJSON):
        return _text_source(paths, _text_form(form, options), options, is_columnar=is_columnar)
    if form is Format.DEAD_LETTER:
        return _dead_letters(paths, options, is_columnar=is_columnar)
    return _table_source(paths, form, options)


def _check_unused(options: ReadOptions, names: Sequence[str], what: str) -> None:
    """Refuse options that would be of no effect, rather than leave people to think they had one."""
    default = ReadOptions()
    for name in names:
        if getattr(options, name) != getattr(default, name):
            files = "files" if name in ("select", "rename") else "CSV files"
            option = name.replace("_", "-")
            raise ConfigurationError(f"--{option} says how {files} are read, and the input is {what}")


def _text_source(paths: list[str], form: TextForm, options: ReadOptions, *, is_columnar: bool) -> Source:
    stdin = _standard_input() if STANDARD in paths else None
    if is_columnar:
        arrow()  # says what to install
    if options.types and not (is_columnar and isinstance(form, CsvForm)):
        raise ConfigurationError(
            "types are for columns of CSV and a handler that takes pyarrow.RecordBatch; say the types of "
            "items in the annotation of the handler"
        )
    if is_columnar and isinstance(form, CsvForm):
        return CsvColumnFiles(
            paths,
            form,
            types=options.types or {},
            is_inferring=options.infer,
            max_record=options.max_record,
            standard_input=stdin,
        )
    if is_columnar and isinstance(form, LineForm):
        return LineColumnFiles(paths, form, max_record=options.max_record, standard_input=stdin)
    return TextFiles(paths, form, max_record=options.max_record, standard_input=stdin)


def _dead_letters(paths: list[str], options: ReadOptions, *, is_columnar: bool) -> Source:
    if is_columnar:
        raise ConfigurationError(
            "dead letters are rows of many kinds, and the handler takes pyarrow.RecordBatch; run them "
            "a handler of rows"
        )
    return TextFiles(
        paths,
        DeadLetterForm(csv=_csv_form(Format.CSV, options)),
        max_record=options.max_record,
        standard_input=_standard_input() if STANDARD in paths else None,
        is_replay=True,
    )


def _standard_input() -> BufferedReader:
    if sys.stdin is None:
        raise SourceError("there is no standard input to read")
    return BufferedReader(FileIO(sys.stdin.fileno(), closefd=False))


def _table_source(paths: list[str], form: Format, options: ReadOptions) -> Source:
    arrow()  # says what to install
    from gristmill.streams.formats.arrow_layout import join_schemas  # noqa: PLC0415 - needs pyarrow
    from gristmill.streams.sources.arrow_file import ArrowForm  # noqa: PLC0415 - as above
    from gristmill.streams.sources.parquet_file import ParquetForm  # noqa: PLC0415 - as above

    if options.types:
        raise ConfigurationError(f"{form.value} has types of its own; cast in the handler")
    table = ParquetForm() if form is Format.PARQUET else ArrowForm()
    return TableFiles(paths, table, select=options.select, rename=options.rename, join=join_schemas)


def expanded(inputs: Sequence[str]) -> list[str]:
    """Return the paths that *inputs* name, patterns replaced by what they match, in the order of names."""
    if not inputs:
        raise ConfigurationError("there is no input; give files, patterns, or - for standard input")
    found: list[str] = []
    for each in inputs:
        if each == STANDARD or Path(each).exists() or not glob.has_magic(each):
            found.append(each)
            continue
        matches = sorted(path for path in _matches(each) if not Path(path).is_dir())
        if not matches:
            raise SourceError(f"no file matches {each!r}")
        found += matches
    seen: dict[str, str] = {}
    for each in found:
        other = seen.setdefault(each if each == STANDARD else os.path.realpath(each), each)
        if other is not each or found.count(each) > 1:
            also = "" if other == each else f", as {other} too"
            raise ConfigurationError(f"{each} is an input twice{also}; name it once")
    return found


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - a Path takes no absolute pattern


def _common_format(paths: Sequence[str], options: ReadOptions) -> Format:
    if options.format is not None:
        return _format(options.format)
    if STANDARD in paths:
        raise ConfigurationError("standard input does not say its format; say it with --input-format")
    forms = {path: format_of(path, "--input-format") for path in paths}
    if len(set(forms.values())) > 1:
        first, other = paths[0], next(path for path in paths if forms[path] != forms[paths[0]])
        raise ConfigurationError(
            f"the inputs are of several formats: {first} and {other}; run them one by one"
        )
    return forms[paths[0]]


def _format(text: str) -> Format:
    try:
        return Format({"jsonl": "ndjson", "json": "ndjson"}.get(text, text))
    except ValueError:
        known = ", ".join(each.value for each in Format)
        raise ConfigurationError(f"there is no format {text!r}; there is {known}") from None


def _text_form(form: Format, options: ReadOptions) -> TextForm:
    if form is Format.NDJSON:
        return LineForm(select=options.select, rename=options.rename)
    return _csv_form(form, options)


def _csv_form(form: Format, options: ReadOptions) -> CsvForm:
    delimiter = options.delimiter or ("\t" if form is Format.TSV else ",")
    return CsvForm(
        dialect=Dialect(delimiter, options.quoting),
        encoding=options.encoding,
        on_duplicate=options.on_duplicate,
        select=options.select,
        rename=options.rename,
        pad=options.pad,
        extra=options.extra,
        header=options.header,
    )


def sink_of(output: str | Path, options: WriteOptions, inputs: Sequence[str], result_type: Any = Any) -> Sink:
    """Return the sink that *output* names: a file, a table, or ``-`` for standard output.

    Args:
        output: A path, a URL with the table after ``#``, or ``-``.
        options: How it is written.
        inputs: The names of the inputs.
        result_type: Of the handler.

    Raises:
        ConfigurationError: Its format is not known, or it is one of *inputs*.
    """
    name = str(output)
    if name in STANDARD_OUTPUT:
        return StandardOutput(_streamed_output(name, options))
    if is_database(name):
        return sql_sink(
            name,
            result_type=result_type,
            on_conflict=options.on_conflict,
            conflict_columns=options.conflict_columns,
            create_table=options.create_table,
            deadline=options.deadline,
        )
    path = Path(name)
    for each in inputs:
        if same_file(Path(each), path):
            raise ConfigurationError(f"{name} is an input too; write to another file")
    if name.endswith("/") or path.is_dir():
        return _folder(path, options)
    if is_device(path):
        return DeviceOutput(path, _streamed_output(name, options))
    return _file(path, options)


def _file(path: Path, options: WriteOptions) -> Sink:
    name = str(path)
    if path.is_symlink():
        path = path.resolve()  # where it leads to, for the link itself would be replaced
    form = format_of(name, "--output-format") if options.format is None else _format(options.format)
    if form in (Format.CSV, Format.TSV, Format.NDJSON):
        return FileSink(path, _text_output(form, name, options))
    if form in (Format.PARQUET, Format.ARROW):
        if compression_of(name) is not Compression.NONE:
            raise ConfigurationError(
                f"{name}: {form.value} is not compressed as a whole; leave {path.suffix} out"
                + (", and choose a --codec" if form is Format.PARQUET else "")
            )
        return FileSink(path, _table_output(form, path, options))
    raise ConfigurationError(
        f"{name}: dead letters are written by runs only; name a file of another format with -o"
    )


def _streamed_output(name: str, options: WriteOptions) -> Appending:
    form = Format.NDJSON if options.format is None else _format(options.format)
    if form in (Format.CSV, Format.TSV, Format.NDJSON):
        return _text_output(form, name, options)
    if form is Format.ARROW:
        return _table_output(form, Path("stream.arrows"), options)
    raise ConfigurationError(f"{form.value} cannot go to {unkept(name)}; name a file with -o")


def same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file, though maybe by links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _folder(path: Path, options: WriteOptions) -> Sink:
    if options.format not in (None, "parquet") or options.columns:
        raise ConfigurationError(
            f"{path}/ is a folder, and folders hold Parquet; name a file for {options.format or 'CSV'}"
        )
    arrow()  # says what to install
    from gristmill.streams.formats.parquet_output import ParquetOutput  # noqa: PLC0415 - needs pyarrow
    from gristmill.streams.sinks.parquet_folder import ParquetFolder  # noqa: PLC0415 - as above

    return ParquetFolder(path, ParquetOutput(options.codec), part_bytes=options.part_bytes)


def _table_output(form: Format, path: Path, options: WriteOptions) -> Appending:
    arrow()  # says what to install
    from gristmill.streams.formats.arrow_output import ArrowOutput  # noqa: PLC0415 - needs pyarrow
    from gristmill.streams.formats.parquet_output import ParquetOutput  # noqa: PLC0415 - as above

    _check_columns(form, options)
    if form is Format.PARQUET:
        return ParquetOutput(options.codec)
    _check_codec(form, options)
    return ArrowOutput(is_stream=path.suffix.lower() == ".arrows")


def _check_columns(form: Format, options: WriteOptions) -> None:
    if options.columns:
        raise ConfigurationError(
            f"columns are chosen for CSV only; leave them out in the handler for {form.value}"
        )


def _check_codec(form: Format, options: WriteOptions) -> None:
    if options.codec is not None:
        raise ConfigurationError(f"--codec is of Parquet, and the output is {form.value}; leave it out")


def _text_output(form: Format, name: str, options: WriteOptions) -> TextOutput:
    if form is Format.NDJSON:
        _check_columns(form, options)
    _check_codec(form, options)
    delimiter = {Format.CSV: ",", Format.TSV: "\t"}.get(form)
    return TextOutput(delimiter=delimiter, compression=compression_of(name), columns=options.columns)
