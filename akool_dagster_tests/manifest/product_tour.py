"""Makes the sample ``data/manifests/product-tour.parquet`` from ``product-tour.csv`` beside it.

Run it after a change of the CSV file::

    python -m akool_dagster_tests.manifest.product_tour

The types are those that a data team would store, not all text, so that the sample shows how
numbers in Parquet files are read.
"""

from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

SOURCE = Path(__file__).with_name("product-tour.csv")
SAMPLES = Path(__file__).parents[2] / "data" / "manifests"
SAMPLE = SAMPLES / "product-tour.parquet"

_TYPES = {
    "chapter": pa.int8(),
    "rate": pa.float64(),
    "width": pa.int32(),
    "height": pa.int32(),
}


def source_table() -> pa.Table:
    """The rows of the sample, with their types."""
    options = csv.ConvertOptions(column_types=_TYPES, strings_can_be_null=True, null_values=[""])
    return csv.read_csv(SOURCE, convert_options=options)


if __name__ == "__main__":
    parquet.write_table(source_table(), SAMPLE)
