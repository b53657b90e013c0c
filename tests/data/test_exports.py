"""Tables as other programs and archives write them: what is understood of each."""

import datetime

import pytest

from tfgen.data.series import data_kind, open_sequences
from tfgen.recipe import DataConfig

DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(number) for number in range(30)]
NEWEST_FIRST = list(reversed(list(enumerate(DAYS))))
MONTHS = [(1949 + number // 12, number % 12 + 1) for number in range(36)]
RUN = range(30)


def lines(*head, rows, end="\n"):
    return end.join([*head, *rows, ""])


def german(number):
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def long(*columns):
    """Rows of a day, an id and a value."""
    pairs = [(key, day) for key in enumerate(columns) for day in enumerate(DAYS)]
    return [f"{day},{key},{2 * i + k}" for (k, key), (i, day) in pairs]


EXPORTS = {
    "Excel in German": (
        "a.csv",
        lines(
            "Umsatzbericht;;", ";;", "Datum;Umsatz (€);Größe",
            rows=[f"{d:%d.%m.%Y};{german(900 + 30 * i)};{i},5" for i, d in enumerate(DAYS)],
            end="\r\n",
        ).encode("cp1252"),
        {"features": ["Umsatz (€)", "Größe"], "first": [900, 0.5], "last": [1770, 29.5]},
    ),
    "Excel's Unicode text": (
        "a.txt",
        lines("Date\tValue", rows=[f"{d}\t{i},5" for i, d in enumerate(DAYS)]).encode("utf-16"),
        {"features": ["Value"], "first": [0.5], "last": [29.5]},
    ),
    "R's write.csv": (
        "a.csv",
        lines('"","date","value","kind"', rows=[f'"{i + 1}","{d}",{i},"{"ab"[i % 2]}"'
                                                 for i, d in enumerate(DAYS)]),
        {"features": ["value", "kind"], "first": [0, 0], "last": [29, 1]},
    ),
    "R's write.table": (
        "a.txt",
        lines('"date" "value"', rows=[f'"{i + 1}" "{d}" {i}.5' for i, d in enumerate(DAYS)]),
        {"features": ["value"], "first": [0.5], "last": [29.5]},
    ),
    "SAS": (
        "a.csv",
        lines("DATE,X", rows=[f"{d:%d%b%Y}".upper() + f",{'.' if i == 3 else i}"
                              for i, d in enumerate(DAYS)]),
        {"features": ["X"], "first": [0], "last": [29]},
    ),
    "prices, newest first": (
        "a.csv",
        lines('\ufeff"Date","Price","Vol.","Change %"',
              rows=[f'"{d:%m/%d/%Y}","{1000 + i:,.2f}","{1 + i / 4}M","{i / 4}%"'
                    for i, d in NEWEST_FIRST]),
        {"features": ["Price", "Vol.", "Change %"], "first": [1000, 1e6, 0],
         "last": [1029, 8.25e6, 7.25]},
    ),
    "prices of a table of two headers": (
        "a.csv",
        lines("Price,Close,Volume", "Ticker,X,X", "Date,,",
              rows=[f"{d},{100 + i},{7 * i}" for i, d in enumerate(DAYS)]),
        {"features": ["Close", "Volume"], "first": [100, 0], "last": [129, 203], "dropped": 2},
    ),
    "stations": (
        "a.csv",
        lines('"STATION","NAME","DATE","TMAX"',
              rows=[f'"US{s}","CITY {s}, US","{d}","{"" if i == 3 else s + i}"'
                    for s in (3, 4) for i, d in enumerate(DAYS)]),
        {"features": ["TMAX"], "ids": ["US3", "US4"], "first": [3], "last": [32]},
    ),
    "an observatory": (
        "a.txt",
        lines("# USE OF DATA", "#", "# year month average days",
              rows=[f"  {y}   {m}    {300 + i / 2:.2f}     {i % 31}"
                    for i, (y, m) in enumerate(MONTHS)]),
        {"features": ["average", "days"], "first": [300, 0], "last": [317.5, 4]},
    ),
    "Eurostat": (
        "a.tsv",
        lines("freq,geo\\TIME_PERIOD\t" + "\t".join(f"{y} " for y in range(2000, 2015)),
              rows=[f"A,{geo}\t" + "\t".join(": " if j == 1 else f"{j}.5 {'p' * (j > 12)}"
                                             for j in range(15)) for geo in ("AT", "BE")]),
        {"features": ["value"], "ids": ["A,AT", "A,BE"], "first": [0.5], "last": [14.5]},
    ),
    "the World Bank": (
        "a.csv",
        lines('"Data Source","World Development Indicators",', "", '"Last Updated","2024-01-01",', "",
              '"Country Name","Country Code","Indicator",' + ",".join(f'"{1960 + i}"' for i in RUN) + ",",
              rows=[f'"{name}","{name[:3]}","GDP",' + ",".join(f'"{i * 1e6}"' if i > 3 else '""'
                                                              for i in RUN) + ","
                    for name in ("Aruba", "Brazil", "Chad")]),
        {"features": ["value"], "ids": ["Aruba", "Brazil", "Chad"], "first": [4e6], "last": [29e6],
         "begins": 1964},
    ),
    "demand of items in stores": (
        "a.csv",
        lines("date,store,item,sales", rows=[f"{d},{s},{n},{s * n + i % 7}" for s in (1, 2)
                                             for n in (1, 2, 3) for i, d in enumerate(DAYS)]),
        {"features": ["sales"], "ids": ["1/1", "1/2", "1/3", "2/1", "2/2", "2/3"], "first": [1],
         "last": [2]},
    ),
    "electricity of clients": (
        "a.txt",
        lines('"";"MT_001";"MT_002"',
              rows=[f'"2011-01-{d.day:02d} 00:15:00";{i},8071065989848;0' for i, d in enumerate(DAYS)]),
        {"features": ["MT_001", "MT_002"], "first": [0.8071065989848, 0],
         "last": [29.8071065989848, 0], "begins": 2011},
    ),
    "household power": (
        "a.txt",
        lines("Date;Time;Global_active_power;Voltage",
              rows=[f"16/12/2006;{h:02d}:{m:02d}:00;{'?' if m == 30 else m}.216;234.840"
                    .replace("?.216", "?") for h in range(24) for m in (0, 30)]),
        {"features": ["Global_active_power", "Voltage"], "first": [0.216, 234.84], "begins": 2006},
    ),
    "air quality": (
        "a.csv",
        lines("Date;Time;CO(GT);T;;",
              rows=[*(f"10/03/2004;{h:02d}.00.00;{h},5;-200;;" for h in range(24)), ";;;;;", ";;;;;"]),
        {"features": ["CO(GT)", "T"], "first": [0.5, -200], "last": [23.5, -200], "begins": 2004},
    ),
    "M4": (
        "a.csv",
        lines(",".join(f'"V{n}"' for n in range(1, 32)),
              rows=[f'"H{k}",' + ",".join(f'"{k + i}"' if i < 30 - k else "NA" for i in RUN)
                    for k in (1, 2)]),
        {"features": ["value"], "ids": ["H1", "H2"], "first": [1], "last": [29]},
    ),
    "an epidemic": (
        "a.csv",
        lines("Province/State,Country/Region,Lat," + ",".join(f"{d.month}/{d.day}/{d:%y}" for d in DAYS),
              rows=[f"{where},{k}.5," + ",".join(str(k * i) for i in RUN)
                    for k, where in enumerate([",Chad", "Hubei,China", "Hebei,China"])]),
        {"features": ["value"], "ids": ["Chad", "Hubei/China", "Hebei/China"], "first": [0]},
    ),
    "airline passengers": (
        "a.csv",
        lines("Month,#Passengers", rows=[f"{y}-{m:02d},{112 + i}" for i, (y, m) in enumerate(MONTHS)]),
        {"features": ["#Passengers"], "first": [112], "last": [147], "begins": 1949},
    ),
    "forecasting libraries": (
        "a.csv",
        lines("ds,unique_id,y", rows=long("H1", "H2")),
        {"features": ["y"], "ids": ["H1", "H2"], "first": [0], "last": [58], "begins": 2020},
    ),
    "a frame's index": (
        "a.csv",
        lines(",0,1,2", rows=[f"{i},{i}.5,{i + 1},{i + 2}" for i in RUN]),
        {"features": ["0", "1", "2"], "first": [0.5, 1, 2], "last": [29.5, 30, 31]},
    ),
    "cars": (
        "a.data",
        lines(rows=[f"{15 + i % 9}.0   8   {300 + i}.      {'?' if i == 4 else '130.0'}\t\"car {i}\""
                    for i in RUN]),
        {"features": ["x0", "x1", "x2", "x3"], "first": [15, 8, 300, 130]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("program", EXPORTS)
def test_what_other_programs_write_is_understood(tmp_path, program):
    name, content, expected = EXPORTS[program]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    config = DataConfig(name=str(path), kind="series")
    if name != "a.data":
        assert data_kind(DataConfig(name=str(path))) == "series"
    sequences = open_sequences(config)
    assert [feature.name for feature in sequences.features] == expected["features"]
    assert sequences.ids == expected.get("ids", ["a"])
    assert sequences.values[0][0].tolist() == pytest.approx(expected["first"], rel=1e-6)
    if "last" in expected:
        assert sequences.values[0][-1].tolist() == pytest.approx(expected["last"], rel=1e-6)
    dropped = sum(
        count
        for reason, (count, _) in sequences.report.dropped.items()
        if not any(word in reason for word in ("empty", "column", "a cell"))
    )
    assert dropped == expected.get("dropped", 0)
    if "begins" in expected:
        begins = datetime.datetime(1970, 1, 1) + datetime.timedelta(0, int(sequences.times[0][0]))
        assert begins.year == expected["begins"]
    # What was understood is told in few lines.
    assert len(sequences.report.notes) <= 5
