"""Cards of the corpora that this version knows but does not read yet; FER2013's is with its reader."""

from __future__ import annotations

from fer_lib.corpus import Card

CARDS = (
    Card(
        name="ckplus",
        title="CK+ (Extended Cohn-Kanade)",
        owner="Jeffrey Cohn and Takeo Kanade; University of Pittsburgh and Carnegie Mellon University",
        licence="signed agreement per user; no redistribution",
        obtain="Sign the user agreement of the Affect Analysis Group, University of Pittsburgh.",
        tree="""\
ckplus/
    cohn-kanade-images/S005/001/S005_001_00000001.png    (also inside extended-cohn-kanade-images/)
    Emotion/S005/001/S005_001_00000011_emotion.txt       (or Emotion_labels/)
    Landmarks/S005/001/S005_001_00000011_landmarks.txt
    FACS/S005/001/S005_001_00000011_facs.txt
or  CK+48/<class>/S005_001_00000009.png
or  ckextended.csv                                       (no subjects)""",
        may_show=False,
        notes=(
            "593 sequences of 123 subjects; 327 labelled, of 118 subjects. First frame neutral, last apex.",
            "ckextended.csv has no subject ids: subject-independent use of it is refused.",
        ),
    ),
    Card(
        name="jaffe",
        title="JAFFE (Japanese Female Facial Expression)",
        owner="Michael Lyons, Miyuki Kamachi and Jiro Gyoba",
        licence="non-commercial research; no redistribution",
        obtain="Request access from the owners (Zenodo record of the JAFFE dataset).",
        tree="jaffe/\n    KA.AN1.39.tiff ...    213 files",
        may_show=False,
        notes=("213 images of 256x256, 10 subjects, seven classes.",),
    ),
    Card(
        name="mmi",
        title="MMI Facial Expression Database",
        owner="Maja Pantic and others",
        licence="account and signed end-user licence agreement; no redistribution",
        obtain="Apply for an account with the MMI Facial Expression Database and sign its agreement.",
        tree="""\
mmi/
    Sessions/<n>/S001-100.avi, S001-100.xml, session.xml [, S001-100-oao_aucs.xml]""",
        may_show=False,
        notes=("The peak is in the middle of a clip. What a copy holds depends on the download's date.",),
    ),
    Card(
        name="nimstim",
        title="NimStim Set of Facial Expressions",
        owner="Nim Tottenham and others",
        licence="approved institutional research and education only; no redistribution",
        obtain="Ask the owners for approval with an institutional address.",
        tree="nimstim/\n    01F_AN_C.BMP ...    (bmp, jpg or png)",
        may_show=False,
        notes=("43 actors, 672 images in the standard set. CA (calm) and NE (neutral) are separate labels.",),
    ),
    Card(
        name="oulu_casia",
        title="Oulu-CASIA NIR&VIS",
        owner="Guoying Zhao and others; University of Oulu",
        licence="research only; no redistribution",
        obtain="Sign the licence agreement of the Center for Machine Vision, University of Oulu.",
        tree="""\
oulu_casia/
    OriginalImg/{VL,NI}/{Strong,Weak,Dark}/P001/Anger/000.jpeg                        (also B_OriginalImg/)
or  PreProcess Img/{VL,NI}_Acropped/{Strong,Weak,Dark}/P001/Anger/000.jpeg  (also C_...)""",
        may_show=False,
        notes=("80 subjects, 480 sequences per camera and illumination; first frame neutral, last apex.",),
    ),
    Card(
        name="cmu_faces",
        title="CMU Face Images",
        owner="Tom Mitchell, Carnegie Mellon University; UCI Machine Learning Repository no. 124",
        licence="free for educational use with attribution",
        obtain="Download 'CMU Face Images' from the UCI Machine Learning Repository.",
        tree="""\
cmu_faces/
    faces/<userid>/<userid>_<straight|left|right|up>_<neutral|happy|sad|angry>_<open|sunglasses>[_2|_4].pgm""",
        may_show=True,
        notes=("20 subjects, 624 usable images per scale, four expressions; a quarter are frontal.",),
    ),
)
