"""C2KD as a plain PyTorch training loop, the way it was published: the bar to beat.

Per sample a rank correlation of SciPy on the host, which waits for the device each
time; one SGD over both networks and both proxies. The architecture is that of
`keras_c2kd.models.resnet18` and `ProxyHead`; the loss is the released reading of
"non-target" (the target's logit times zero).
"""

import torch
from scipy.stats import kendalltau
from torch import nn
from torch.nn import functional as F


def convolution(inputs, width, kernel=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
    )


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.first = convolution(inputs, width, stride=stride)
        self.second = convolution(width, width)
        same = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if same else convolution(inputs, width, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class ResNet18(nn.Module):
    """Logits, and the 256 channels that feed the proxy."""

    def __init__(self, channels, num_classes):
        super().__init__()
        self.stem = nn.Sequential(
            convolution(channels, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        widths = (64, 64, 128, 256, 512)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Block(before, width, 1 + (width > 64)), Block(width, width, 1)
            )
            for before, width in zip(widths, widths[1:], strict=False)
        )
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.classifier(x.mean((2, 3))), maps[2]


class Proxy(nn.Module):
    def __init__(self, width, num_classes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(0.1),
            nn.Linear(width, num_classes),
        )

    def forward(self, features):
        return self.layers(features.mean((2, 3)))


class Loop:
    """`step(teacher images, student images, labels)`, all of torch, channels first."""

    def __init__(self, teacher_channels, student_channels, num_classes, device="cpu"):
        self.teacher = ResNet18(teacher_channels, num_classes).to(device)
        self.student = ResNet18(student_channels, num_classes).to(device)
        self.teacher_proxy = Proxy(256, num_classes).to(device)
        self.student_proxy = Proxy(256, num_classes).to(device)
        parts = self.teacher, self.student, self.teacher_proxy, self.student_proxy
        parameters = [p for part in parts for p in part.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)

    def step(self, teacher_images, student_images, labels):
        f_t, teacher_maps = self.teacher(teacher_images)
        f_s, student_maps = self.student(student_images)
        p_t, p_s = self.teacher_proxy(teacher_maps), self.student_proxy(student_maps)
        loss = F.cross_entropy(f_t, labels) + F.cross_entropy(f_s, labels)
        for a, b in ((f_t, p_t), (p_t, f_t), (f_s, p_s), (p_s, f_s)):
            loss = loss + divergence(a, b).mean()
        selected = self.select(p_t, p_s)
        others = 1.0 - F.one_hot(labels, f_t.shape[-1])
        for a, b in ((p_t, p_s), (p_s, p_t)):
            loss = loss + (selected * divergence(a * others, b * others)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss)

    def select(self, p_t, p_s):
        mask = torch.zeros(len(p_t), device=p_t.device)
        for i in range(len(p_t)):
            teacher, student = p_t[i].detach().cpu(), p_s[i].detach().cpu()
            mask[i] = float(kendalltau(teacher, student).statistic > 0.0)
        return mask


def divergence(a, b):
    log_b = F.log_softmax(b, -1)
    return F.kl_div(log_b, F.softmax(a.detach(), -1), reduction="none").sum(-1)
