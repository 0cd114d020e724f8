"""Add a column to whole record batches."""

import pyarrow as pa
import pyarrow.compute as pc

from gristmill import batch


@batch
def add_gross(orders: pa.RecordBatch) -> pa.RecordBatch:
    return orders.append_column("gross", pc.round(pc.multiply(orders["amount"], 1.19), 2))
