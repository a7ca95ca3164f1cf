"""For continuous integration: JUnit's XML, one test case for each cell or benchmark."""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree

from vqbench.compare.entry import Entry
from vqbench.compare.render.layout import explain, title
from vqbench.compare.report import Finding, Report
from vqbench.leaderboard.notation import clean

__all__ = ["render_junit"]


def render_junit(report: Report) -> str:
    """A regression is a failure, what is undecided an error; everything else that changed is the case's output."""
    suite = ElementTree.Element("testsuite", name=clean(f"vqbench compare {report.base} {report.new}"))
    cases = [list(found) for _, found in groupby(report.findings, key=lambda finding: id(finding.entry))]
    for findings in cases:
        _case(suite, findings[0].entry, findings)
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in suite)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, entry: Entry, findings: list[Finding]) -> None:
    classname = clean(".".join(("vqbench", entry.kind, entry.suite)))
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=title(findings[0]), time="0")
    for effect, tag in (("regression", "failure"), ("undecided", "error")):
        told = [clean(explain(finding)) for finding in findings if finding.effect == effect]
        if told:
            element = ElementTree.SubElement(case, tag, type=effect, message=told[0])
            element.text = "\n".join(told)
    if told := [clean(explain(f)) for f in findings if f.effect == "none" and f.verdict != "same"]:
        ElementTree.SubElement(case, "system-out").text = "\n".join(told)
