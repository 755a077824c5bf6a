"""``junit.xml`` is what every CI server expects, with one test case for each planned test."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from harness.domain.lab import Lab
from harness.domain.words import Outcome
from harness.records.run import RunRecord, read_run
from harness.reports.junit import render

SHAPE = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:complexType name="counts">
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="skipped" type="xs:nonNegativeInteger"/>
    <xs:attribute name="time" type="xs:decimal"/>
  </xs:complexType>
  <xs:complexType name="verdict"><xs:simpleContent><xs:extension base="xs:string">
    <xs:attribute name="type" type="xs:string"/><xs:attribute name="message" type="xs:string"/>
  </xs:extension></xs:simpleContent></xs:complexType>
  <xs:element name="properties"><xs:complexType><xs:sequence>
    <xs:element name="property" maxOccurs="unbounded"><xs:complexType>
      <xs:attribute name="name" type="xs:string" use="required"/>
      <xs:attribute name="value" type="xs:string" use="required"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="testcase"><xs:complexType><xs:sequence>
    <xs:element ref="properties" minOccurs="0"/>
    <xs:choice minOccurs="0">
      <xs:element name="skipped" type="verdict"/><xs:element name="error" type="verdict"/>
      <xs:element name="failure" type="verdict"/>
    </xs:choice>
    <xs:element name="system-out" type="xs:string" minOccurs="0"/>
    <xs:element name="system-err" type="xs:string" minOccurs="0"/>
  </xs:sequence>
    <xs:attribute name="classname" type="xs:string" use="required"/>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="time" type="xs:decimal"/>
  </xs:complexType></xs:element>
  <xs:element name="testsuite"><xs:complexType><xs:complexContent><xs:extension base="counts"><xs:sequence>
    <xs:element ref="properties" minOccurs="0"/>
    <xs:element ref="testcase" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="timestamp" type="xs:dateTime"/>
  </xs:extension></xs:complexContent></xs:complexType></xs:element>
  <xs:element name="testsuites"><xs:complexType><xs:complexContent><xs:extension base="counts"><xs:sequence>
    <xs:element ref="testsuite" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence></xs:extension></xs:complexContent></xs:complexType></xs:element>
</xs:schema>
"""


@pytest.fixture(scope="module")
def record(fabricated_whole: tuple[Path, Lab]) -> RunRecord:
    return read_run(fabricated_whole[0])


@pytest.fixture(scope="module")
def junit(fabricated_whole: tuple[Path, Lab]) -> etree._Element:
    (path,) = render(*fabricated_whole)
    return etree.fromstring(path.read_bytes())


def case(junit: etree._Element, test_id: str) -> etree._Element:
    (found,) = [case for case in junit.iter("testcase") if case.get("name") == test_id]
    return found


def test_it_has_the_usual_shape(junit: etree._Element) -> None:
    etree.XMLSchema(etree.fromstring(SHAPE)).assertValid(junit)


def test_each_planned_test_is_one_test_case_in_the_suite_of_its_pack(
    junit: etree._Element, record: RunRecord
) -> None:
    found = [(suite.get("name"), case.get("name")) for suite in junit for case in suite.iter("testcase")]
    assert sorted(found) == sorted((test.pack, test.id) for test in record.plan.tests)


def test_the_numbers_at_the_head_are_those_of_the_record(junit: etree._Element, record: RunRecord) -> None:
    counts = record.counts()
    assert {name: int(junit.get(name, "")) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": counts["planned"],
        "failures": counts["failed"],
        "errors": counts["blocked"],
        "skipped": counts["not_run"] + counts["descoped"],
    }
    assert sum(int(suite.get("tests", "")) for suite in junit) == counts["planned"]


@pytest.mark.parametrize(
    ("outcome", "element"),
    [
        (Outcome.PASSED, None),
        (Outcome.FAILED, "failure"),
        (Outcome.BLOCKED, "error"),
        (Outcome.NOT_RUN, "skipped"),
        (Outcome.DESCOPED, "skipped"),
    ],
)
def test_an_outcome_is_told_by_its_element_with_the_reason(
    junit: etree._Element, record: RunRecord, outcome: Outcome, element: str | None
) -> None:
    for test in record.tests(outcome):
        verdicts = [child for child in case(junit, test.id) if child.tag in {"failure", "error", "skipped"}]
        assert [verdict.tag for verdict in verdicts] == ([element] if element else [])
        assert all(verdict.get("message") == record.reason(test.id) for verdict in verdicts)


def test_its_properties_lead_to_ttm_dmc_rig_and_pack(junit: etree._Element, record: RunRecord) -> None:
    test = record.tests(Outcome.PASSED)[0]
    found = [(p.get("name"), p.get("value")) for p in case(junit, test.id).iter("property")]
    latest = record.latest(test.id)
    assert latest is not None
    expected = {("ttm", test.ttm[0]), ("dmc", test.dmc), ("rig", latest.rig), ("pack", test.pack)}
    assert expected <= set(found)


def test_earlier_attempts_are_told(junit: etree._Element, record: RunRecord) -> None:
    retried = next(test for test in record.tests(Outcome.PASSED) if len(record.of(test.id)) > 1)
    told = case(junit, retried.id).findtext("system-out") or ""
    assert [line.split(": ")[1].split(" ")[0] for line in told.splitlines()] == [
        attempt.result.value for attempt in record.of(retried.id)
    ]


def test_characters_that_xml_forbids_do_not_spoil_the_file(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    from harness.records.journal import Journal
    from harness.records.plan import Plan

    plan = Plan.read(folder)
    process = {"run_id": plan.run_id, "plan_digest": plan.digest, "process": "late"}
    with Journal.begin(folder, **process) as journal:
        journal.write("descoped", test=plan.tests[0].id, approval="a\x00b\x1b[31m\ud800 <&>")
    (path,) = render(folder, lab)
    found = case(etree.fromstring(path.read_bytes()), plan.tests[0].id).find("skipped")
    assert found is not None
    assert found.get("message") == "a\ufffdb\ufffd[31m\ufffd <&>"


def test_what_xml_would_take_for_its_own_comes_back_as_it_was_said(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    from harness.records.journal import Journal
    from harness.records.plan import Plan

    said = """it said "no" & <b>'never'</b>,\tthen\nnothing]]>"""
    plan = Plan.read(folder)
    attempt = {"attempt": "late/9", "test": plan.tests[0].id}
    process = {"run_id": plan.run_id, "plan_digest": plan.digest, "process": "late"}
    with Journal.begin(folder, **process) as journal:
        journal.write("attempt_started", **attempt, number=9, rig="ioc-1", worker="late")
        journal.write("attempt_finished", **attempt, result="failed", message=said, trace=said)
    (path,) = render(folder, lab)
    found = case(etree.fromstring(path.read_bytes()), plan.tests[0].id).find("failure")
    assert found is not None
    assert (found.get("message"), found.text) == (said, said)
