import pytest

from fer_lib import claims
from fer_lib.claims import PAPERS
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

COUNTS = {"cnn_sift": 54, "multimodal": 138, "cspp": 88, "cnn3d": 91, "lkrnet": 116}
RESULTS = {"cnn_sift": 26, "multimodal": 132, "cspp": 63, "cnn3d": 84, "lkrnet": 109}


@pytest.mark.parametrize("key", PAPERS)
def test_file_is_complete_and_consistent(key):
    paper = claims.load(key)
    assert paper.key == key
    assert len(paper.claims) == COUNTS[key]
    assert sum(claim.role != "data" for claim in paper.claims) == RESULTS[key]
    for entries in (paper.protocols, paper.ambiguities, paper.inconsistencies):
        names = [entry["id"] for entry in entries]
        assert len(set(names)) == len(names)
    names = [claim.id for claim in (*paper.claims, *paper.order)]
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"{key}-") for name in names)
    assert {claim.role for claim in paper.claims} <= {"method", "ablation", "baseline", "quoted", "data"}
    assert paper.tolerance["accuracy_points"] == 1.0
    assert paper.tolerance["difference_points"] == 0.5
    assert paper.tolerance["why"]


@pytest.mark.parametrize("key", PAPERS)
def test_quotes_are_short_and_readings_are_real_choices(key):
    for entry in claims.load(key).ambiguities:
        assert len(entry["quote"].split()) <= 20
        assert len(entry["readings"]) >= 2
        assert entry["recommended"]
        assert entry.get("knob", "text").isidentifier()
        assert ("knob" in entry) == ("default" in entry)


def test_unknown_paper_and_protocol_are_clear_errors():
    with pytest.raises(FerError, match="Did you mean 'cnn_sift'"):
        claims.load("cnn_sfit")
    with pytest.raises(FerError, match="protocol of cspp"):
        claims.load("cspp").protocol("jaffe")
    with pytest.raises(FerError, match="claim of cspp"):
        claims.load("cspp").claim("cspp-t9")


def test_frame_has_one_row_per_claim_of_all_papers():
    table = claims.frame()
    assert tuple(table.columns) == claims.COLUMNS
    assert table.groupby("paper").size().to_dict() == COUNTS
    assert table["id"].is_unique
    assert set(table["expression"].dropna()) <= set(EXPRESSIONS)
    assert set(table["corpus"].dropna()) == set(claims.CORPORA.values())
    assert table.loc[table["value"].isna(), "id"].tolist() == [
        "multimodal-f7-c-occlusion_mouth_and_eye-vgg",
        "multimodal-f7-c-occlusion_mouth_and_eye-resnet",
        "lkrnet-t2-lopes-contempt",
    ]
    percent = table.loc[table["unit"] == "percent", "value"].dropna()
    assert percent.between(0, 100).all()


def test_headline_claims_of_paper_1():
    table = claims.frame("cnn_sift").set_index("id")
    printed = {
        "t2": {"cnn_only": 72.17, "cnn_sift": 72.49, "cnn_sift_avg": 73.51},
        "t3": {"cnn_only": 98.33, "cnn_sift": 98.47, "cnn_sift_avg": 99.11},
        "t4": {"cnn_only": 93.86, "cnn_sift": 98.76, "cnn_sift_avg": 98.96},
    }
    for number, models in printed.items():
        for model, value in models.items():
            assert table.loc[f"cnn_sift-{number}-{model}", "value"] == value
    counts = table[table["metric"] == "sample_count"].dropna(subset="expression")
    assert counts.groupby("corpus")["value"].sum().to_dict() == {
        "fer2013": 35887,
        "ckplus": 309,
        "jaffe": 213,
    }


def test_number_of_test_samples():
    n = claims.frame().set_index("id")["n"]
    assert n["cnn_sift-t2-cnn_only"] == 3589
    assert n["cnn_sift-t3-cnn_only"] == 309
    assert n["cnn_sift-s43-jaffe-happy"] == 31
    assert n["lkrnet-t3-our_method-disgust"] == 55
    assert n["cspp-t3-ck-happy"] == 207
    # Table 1 of paper 1 counts all three parts of FER2013, which says nothing about a class of the test part.
    assert n.isna()["cnn_sift-t1-fer2013-happy"]
    # After cleaning, a fold and a cited work leave the count open.
    for name in ("multimodal-t1-ours-angry", "cnn3d-t4-c1-fold1", "cnn_sift-t2-dnnrl"):
        assert n.isna()[name]


def test_absent_fields_are_none():
    row = claims.frame("cnn_sift").set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["expression"] is None
    assert row["bound"] is None
    assert row["approx"] is False or not row["approx"]


def test_register_of_paper_1_holds_parameter_values():
    register = claims.ambiguities("cnn_sift")
    text = register.set_index("id").loc["conv_stages"]
    assert text["knob"] is None
    assert text["default"] is None
    register = register[register["knob"].notna()]
    assert register["knob"].is_unique
    defaults = register.set_index("knob")["default"]
    assert defaults.notna().all()
    assert defaults["lr"] == 0.001
    assert defaults["use_batchnorm"] is False
    assert defaults["sift_mode"] == "dog_x4"
    for entry in register.to_dict("records"):
        if entry["values"] is not None:
            assert entry["default"] in entry["values"]
            assert len(set(entry["values"])) >= 2


@pytest.mark.parametrize("key", PAPERS)
def test_register_columns(key):
    register = claims.ambiguities(key)
    assert len(register) == len(claims.load(key).ambiguities)
    assert list(register.columns)[:6] == ["id", "quote", "problem", "readings", "recommended", "knob"]


def test_printed_confusion_matrix_is_kept():
    assert len(claims.load("cspp").confusion) == 1


FACTS = {"model": "A", "role": "method", "dataset": "CK+", "protocol": "p", "table": "Table 9"}
TOLERANCE = {"accuracy_points": 1.0, "difference_points": 0.5}


def made(name, test=None, **facts):
    entry = FACTS | {"id": name, "metric": "accuracy"} | facts
    return claims._claim("cspp", entry, {"p": {"samples": 10}}, TOLERANCE, test)


def test_a_claim_holds_what_its_entry_says():
    found = made("a", value=3.5, **{"class": "Happy"})
    assert (found.place, found.expression, found.corpus, found.value) == (
        "Table 9",
        "happiness",
        "ckplus",
        3.5,
    )
    assert (found.tolerance, made("b", metric="accuracy_difference").tolerance) == (1.0, 0.5)
    assert (found.home, made("c", train_dataset="MMI").home) == ("ckplus", "mmi")
    ordered = made("d", {"better": ["A"], "worse": ["B"], "class": "Sad"}, metric="order", says="A beats B.")
    assert (ordered.test["better"], ordered.expression) == (["A"], "sadness")


@pytest.mark.parametrize(
    "facts, message", [({"valeu": 3}, "unknown keys valeu"), ({"protocol": "q"}, "no protocol q")]
)
def test_a_slip_in_an_entry_is_a_clear_error(facts, message):
    with pytest.raises(FerError, match=f"Claim a in cspp.yaml has {message}"):
        made("a", **facts)


def test_links_must_lead_to_an_original_of_the_same_kind():
    original = made("a")
    claims._check("cspp", [original, made("b", same_as="a")])
    wrong = ([made("b", same_as="z")], [made("b", same_as="a"), made("c", same_as="b")])
    for others in wrong:
        with pytest.raises(FerError, match="points at no claim"):
            claims._check("cspp", [original, *others])
    with pytest.raises(FerError, match="measures other things"):
        claims._check("cspp", [original, made("b", same_as="a", metric="class_accuracy")])


def test_a_claim_of_order_has_one_way_to_be_decided():
    test = {"better": ["A"], "worse": ["B"]}
    claims._check("cspp", [made("a", test, metric="order", decided_by="running")])
    claims._check("cspp", [made("a", metric="order", decided_by="nothing", why="A matter of taste.")])
    for facts in ({"decided_by": "running"}, {"decided_by": "nothing"}):
        with pytest.raises(FerError, match="needs one test"):
            claims._check("cspp", [made("a", metric="order", **facts)])
    with pytest.raises(FerError, match="decided_by"):
        claims._check("cspp", [made("a", test, metric="order", decided_by="runing")])
