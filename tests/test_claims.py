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
    knobs = [entry["knob"] for entry in paper.ambiguities if "knob" in entry]
    assert len(set(knobs)) == len(knobs)
    for entry in paper.ambiguities:
        assert len(entry["quote"].split()) <= 20
        assert len(entry["readings"]) >= 2
        assert entry["recommended"]
        assert entry.get("knob", "text").isidentifier()
        assert ("knob" in entry) == ("default" in entry)
        assert entry.get("default") in entry.get("values", [entry.get("default")])


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
    assert not row["approx"]


def test_register_of_paper_1_holds_parameter_values():
    register = claims.ambiguities("cnn_sift").set_index("id")
    assert register.loc["conv_stages", ["knob", "default"]].tolist() == [None, None]
    defaults = register.set_index("knob")["default"]
    assert (defaults["lr"], defaults["use_batchnorm"], defaults["sift_mode"]) == (0.001, False, "dog_x4")


def test_a_claim_holds_what_its_entry_says():
    facts = {"model": "A", "role": "method", "dataset": "CK+", "protocol": "p", "table": "Table 9"}
    tolerance = {"accuracy_points": 1.0, "difference_points": 0.5}
    protocols = [{"id": "p", "samples": 10}]
    content = {"paper": {"key": "cspp"}, "protocols": protocols, "tolerance": tolerance}

    def made(ordered=False, **given):
        return claims._claim(content, facts | {"id": "a", "metric": "accuracy"} | given, ordered)

    found = made(value=3.5, **{"class": "Happy"})
    assert (found.place, found.expression, found.corpus) == ("Table 9", "happiness", "ckplus")
    assert (found.value, found.n, made().n) == (3.5, None, 10)
    assert (found.tolerance, made(metric="accuracy_difference").tolerance) == (1.0, 0.5)
    assert (found.home, made(train_dataset="MMI").home) == ("ckplus", "mmi")
    test = {"better": ["A"], "worse": ["B"], "class": "Sad", "metric": "class_accuracy"}
    ordered = made(ordered=True, says="A beats B.", **test)
    assert (dict(ordered.test), ordered.expression, ordered.metric) == (test, "sadness", "order")
