"""Templates of tokenizers against Hugging Face's own rendering of them."""

import pytest

from minilm.tokenizers import ChatTemplate, render_chat

pytestmark = pytest.mark.oracle

TALK = [
    {"role": "system", "content": " Be brief."},
    {"role": "user", "content": "2 + 2?\n"},
    {"role": "assistant", "content": "4\n\n"},
    {"role": "user", "content": 'Say "é" & <b>'},
]
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
SOURCES = {
    "lines": """{{ bos_token }}
{% for m in messages %}
    {% if m['role'] == 'user' %}
        {{- '[U] ' + m['content'] | trim + ' [/U]' -}}
    {% elif m['role'] == 'system' %}
{{ m['content'] }}
    {% else %}
{{ m['content'] + eos_token }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
[A]
{% endif %}
""",
    "state": "{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.first %}"
    "{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m.content.strip() }}"
    "{% if not loop.last %}|{% endif %}{% endfor %}",
    "json": "{% for m in messages %}{{ m | tojson }}{{ m.content | length }}{% endfor %}",
    "marks": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}\n"
    "{% endfor %}{% if tools is defined %}tools{% endif %}",
}


@pytest.mark.parametrize("reply", [False, True])
@pytest.mark.parametrize("name", SOURCES)
def test_a_template_writes_what_hugging_face_writes(name, reply):
    from transformers.utils.chat_template_utils import render_jinja_template

    (wanted,), _ = render_jinja_template(
        [TALK], chat_template=SOURCES[name], add_generation_prompt=reply, **NAMES
    )
    own = ChatTemplate(SOURCES[name], ("<s>", "</s>"), NAMES)
    assert own._render(TALK, reply) == wanted
    if reply:
        assert render_chat(TALK, own, reply) == wanted
