"""Leaderboards, from records (and the values of each image beside them, where there are any): nothing that ran is asked again."""

from vqbench.leaderboard.boards import Board, Column, Group, Leaderboard, make_leaderboard
from vqbench.leaderboard.publish import write_leaderboard_files
from vqbench.leaderboard.published import (
    Publication,
    PublishedNumber,
    PublishedRow,
    PublishedTable,
    read_publication,
)
from vqbench.leaderboard.ranking import RankedRow
from vqbench.leaderboard.rate_board import RateBoard, make_rate_board
from vqbench.leaderboard.rate_curves import RateAxis
from vqbench.leaderboard.render import FORMATS, Format, render
from vqbench.leaderboard.rows import BOARDS, BoardName, Row, RowMetric, SlotUsage, make_rows
from vqbench.leaderboard.selection import RecordFilter, select_groups, select_published, select_records

__all__ = [
    "BOARDS",
    "FORMATS",
    "Board",
    "BoardName",
    "Column",
    "Format",
    "Group",
    "Leaderboard",
    "Publication",
    "PublishedNumber",
    "PublishedRow",
    "PublishedTable",
    "RankedRow",
    "RateAxis",
    "RateBoard",
    "RecordFilter",
    "Row",
    "RowMetric",
    "SlotUsage",
    "make_leaderboard",
    "make_rate_board",
    "make_rows",
    "read_publication",
    "render",
    "select_groups",
    "select_published",
    "select_records",
    "write_leaderboard_files",
]
