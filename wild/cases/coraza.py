"""OWASP Coraza, a web application firewall, with rules of its own and the OWASP Core Rule Set, which it has within."""

from case import Filter, Step

from .package import STREAMED

VERSION = "v0.0.0-20260824140537-b1770f5b0be3"
coraza = Filter("coraza-proxy-wasm", "b1770f5b0be3", "Go", "Go module `github.com/corazawaf/coraza-proxy-wasm`, with Higress' SDK in place of TinyGo's",
                ("go_with_higress_sdk", f"github.com/corazawaf/coraza-proxy-wasm@{VERSION}", "no_fs_access,memoize_builders"))


def rules(*lines):
    return {"directives_map": {"default": list(lines)}, "default_directives": "default"}


ON = ("SecRuleEngine On", "SecRequestBodyAccess On", "SecResponseBodyAccess On", "SecResponseBodyMimeType text/plain")
OWN = rules(*ON,
            'SecRule REQUEST_URI "@streq /admin" "id:101,phase:1,t:lowercase,deny"',
            'SecRule REQUEST_HEADERS:x-bad "@rx ^yes" "id:102,phase:1,deny,status:406"',
            'SecRule REQUEST_BODY "@rx maliciouspayload" "id:103,phase:2,t:lowercase,deny"',
            'SecRule RESPONSE_HEADERS:x-old "@streq old" "id:104,phase:3,deny,chain"', 'SecRule REQUEST_URI "@beginsWith /headers" ""',
            'SecRule RESPONSE_BODY "@contains leak" "id:105,phase:4,deny"')
FORM = {"content-type": "application/x-www-form-urlencoded"}
coraza.case("request headers", OWN, Step(body='"path"'), Step(path="/admin", status=403, reaches=False), Step(send={"x-bad": "yes"}, status=406))
coraza.case("request bodies", OWN,
            Step(method="POST", data="a=good", send=FORM, seen_body="^a=good$"),
            Step(method="POST", data="a=maliciouspayload", send=FORM, status=403, reaches=False))
coraza.case("response headers", OWN, Step(path="/headers", status=403))
coraza.case("response bodies", OWN, Step(path="/secret", body="^(?!.*leak)"), Step(path="/other", body='"/other"'))

CRS = rules("Include @recommended-conf", "Include @crs-setup-conf", "SecRuleEngine On", "Include @owasp_crs/*.conf")
AGENT = {"User-Agent": "Mozilla/5.0", "Accept": "*/*"}
# A request without a body is judged when its answer comes, as the filter does it.
coraza.case("Core Rule Set", CRS,
            Step(path="/a?b=c", send=AGENT, body='"path"'),
            Step(path="/?q=%3Cscript%3Ealert(1)%3C/script%3E", send=AGENT, status=403),
            Step(path="/?id=1%27%20or%201=1--%20", send=AGENT, status=403),
            Step(path="/?f=../../etc/passwd", send=AGENT, status=403),
            Step(path="/", method="POST", data="q=%3Cscript%3Ealert(1)%3C/script%3E", send={**AGENT, **FORM}, status=403, reaches=False),
)

coraza.again("request bodies", "streamed", location=STREAMED)

FILTERS = [coraza]
