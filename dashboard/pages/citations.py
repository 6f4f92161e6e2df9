"""The papers that several pages cite."""

QIU = (
    "Qiu, Leng, Guo, Chen, Li, Guo, Zhu: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019"
)
ZHANG = (
    "Zhang, Liu, Liu, Xu, Yu, Ma, Li: Interpreting and Improving Adversarial Robustness of Deep Neural Networks with "
    "Neuron Sensitivity. 2020"
)
LI = "Li, Liu, Liu, Xu, Zhang, Xie: Understanding Adversarial Robustness via Critical Attacking Route. 2020"
SELVARAJU = (
    "Selvaraju et al.: Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization. ICCV 2017"
)
NGUYEN = "Nguyen, Georgiev, Ji, Wang: Where Classification Fails, Interpretation Rises. 2017"
