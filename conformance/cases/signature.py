"""The foreign function verify_signature. Its arguments are Envoy's VerifySignatureArguments: name of the hash
function, public key (DER), signature, text."""

from case import Case
from ops import hostcalls, show

# A throw-away RSA key of 2048 bits, and what it has made of TEXT with SHA-256.
KEY = (
    "30820122300d06092a864886f70d01010105000382010f003082010a0282010100f6af065c3fae110cd46705c636ba1a224a5c621f234d"
    "76c54d90f0312356c59cc21daf347f44124c98bab8f89f5c8c3a7006b710d1366e64427cef0fc61883c7ff74191cb02416e083c1bdc682"
    "cd4b2e2dc4d4db305d8f7fa492b98e403ee79db01968bb945c454573c667bb11e04b3d0dc698a7c987544c9a01c6bb47fc134c8d1cf254"
    "6cd4ea30f92d92cb41d39673df966ebbec4968eb80c02dc7eea04612b7334dec37b74ccd4159138c486272bba79b9ea728e0d7a1ae497e"
    "ef1dab7e7afccd967f988a8d29bd80ca0378c829fd3623a9d62e5cd5fdf40b9de9b5a1a4aaab7adb97294d09b039ec58cafdb720376645"
    "8cc3e874833a253f4040448ab3d10203010001"
)
SIGNATURE = (
    "e4fdc6fff83600ab6343d9c65f8e4408eb6c2ba342bc87bf4a55c456f10638e589c6ab4554c479d47c5b2f2c858d2e6412f8e33a42071e"
    "09926b88244dfe49295c77b0d0b04851f4f6d78026ac53ca96fa85d6636cc7e022adb87c18641f7e7a63554159693d2809103371ebc99d"
    "c5c7fc8fe430c9537fe2f484ee9a844e94be9c18fd53fc1e3dd11c4032e39565a04b813b804dfc1032d911cc5757e4a964161b8241e28d"
    "321f97dbf93790313b27f815485a4355f05797d98a98a2120663922b0a1200efa7ad7d8b39aa8f4b0b5ff024d51c38285419742ce68867"
    "6f8e2ba9391c4706d14d89392c320f54d365cfc4dd10edf37953371eb4acbb03b96b0681"
)
TEXT = b"signed text".hex()


def field(number, value):
    """A field of bytes, in hexadecimal, of a message in Protocol Buffers' format."""
    size = len(value) // 2
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]).hex() + length.hex() + value


def verify(key=KEY, hash="sha256", signature=SIGNATURE, text=TEXT):
    message = field(1, hash.encode().hex()) + field(2, key) + field(3, signature) + field(4, text)
    return [["call_foreign_function", "verify_signature", {"hex": message}, "r"], show("verified", {"to_hex": {"var": "r"}})]


CASES = [
    Case("foreign/verify_signature", hostcalls(request_headers=[
        *verify(), *verify(text=b"other text".hex()), *verify(signature="00" * 256), *verify(hash="sha512"), *verify(hash="nothing"), *verify(key="00")]), {}),
]
