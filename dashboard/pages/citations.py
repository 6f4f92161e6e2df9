"""The papers that several pages cite."""

QIU = (
    "Qiu, Leng, Guo, Chen, Li, Guo, Zhu: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019"
)
