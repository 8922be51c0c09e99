"""What methods of frames, series and data sets give that is small: a number, a mask, a number for each row.

Those that copy rows or make a str of each are in tables.py.
"""

from __future__ import annotations

from memguard.script.registry import function, method, nothing
from memguard.script.values import Row

__all__: list[str] = []

method(Row, "any all eq ne lt le gt ge equals between duplicated notna notnull first_valid_index last_valid_index")(
    nothing("a bool, or one for each row")
)
method(Row, "median std var quantile mode skew kurt sem prod product idxmax idxmin argmax argmin rank memory_usage")(
    nothing("a number, or one for each row")
)
method(Row, "corr cov cumsum cumprod cummax cummin diff pct_change get_loc searchsorted factorize")(
    nothing("a number for each row")
)
method(Row, "show plot hist boxplot set_flags drop_index list_indexes cleanup_cache_files")(nothing("shown and let go"))
method("pandas.str", "rfind rindex index get_dummies")(nothing("a number for each row"))
function("pandas.isnull pandas.notnull")(nothing("a bool for each row"))
function("pandas.Timedelta pandas.date_range pandas.period_range pandas.DateOffset")(nothing("times"))
function("pandas.get_option pandas.reset_option pandas.option_context pandas.describe_option")(nothing("a setting"))
function("pandas.show_versions pandas.*Dtype pandas.NamedAgg pandas.Grouper")(nothing("a name or a type"))
function("polars.set_* polars.enable_* polars.disable_* polars.thread_pool_size polars.show_versions")(
    nothing("a setting")
)
