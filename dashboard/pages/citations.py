"""The papers that several pages cite."""

QIU = (
    "Qiu, Leng, Guo, Chen, Li, Guo, Zhu: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019"
)
NGUYEN = "Nguyen, Georgiev, Ji, Wang: Where Classification Fails, Interpretation Rises. 2017"
