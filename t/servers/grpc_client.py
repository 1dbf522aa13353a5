"""Clients of grpc_server.py for tests, with a line of output each.

    python3 t/servers/grpc_client.py HOST:PORT COMMAND...

    chat N FORM      a bidirectional stream of N messages, each sent when the former's answer is there; FORM is
                     what the server gets for message NUMBER, as "#TEXT-{number}"
    flood N          N messages of some hundred bytes at once, half of them before the first answer is read
    first            the answer to a first message, while the stream stays open; "late" without one in 30 s
    count N          a client stream of N messages of 1000 bytes
    unary TEXT       one message
    status TEXT...   a chat of these messages, then what it ends with: the answers, code and details
"""

import sys
import threading

import grpc

METHOD = "/test.Echo/"
PATIENCE = 600


def chat(channel):
    return channel.stream_stream(METHOD + "Chat")


def lockstep(channel, count, form):
    count = int(count)
    answered = threading.Semaphore(1)

    def messages():
        for number in range(1, count + 1):
            answered.acquire()
            yield b"message-%d" % number

    good = 0
    for number, answer in enumerate(chat(channel)(messages(), timeout=PATIENCE), 1):
        if answer.decode() != f"{number}: {form.format(number=number)}":
            return f"{number}: {answer}"
        good += 1
        answered.release()
    return f"{good} messages"


def flood(channel, count):
    count = int(count)
    go_on = threading.Event()

    def messages():
        for number in range(count):
            if number == count // 2:
                go_on.wait(PATIENCE)
            yield b"%08d" % number + b"x" * (number % 500)

    good = 0
    for number, answer in enumerate(chat(channel)(messages(), timeout=PATIENCE)):
        if answer != b"%d: %08d" % (number + 1, number) + b"x" * (number % 500):
            return f"{number}: {answer}"
        good += 1
        go_on.set()
    return f"{good} messages"


def first(channel):
    done = threading.Event()

    def messages():
        yield b"one"
        done.wait(PATIENCE)

    try:
        answers = chat(channel)(messages(), timeout=30)
        answer = next(answers).decode()
        done.set()
        return f"{answer}, then {len(list(answers))}"
    except grpc.RpcError as error:
        done.set()
        return "late" if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else f"{error.code()}"


def count(channel, number):
    messages = (b"x" * 1000 for _ in range(int(number)))
    return channel.stream_unary(METHOD + "Count")(messages, timeout=PATIENCE).decode()


def unary(channel, text):
    return channel.unary_unary(METHOD + "Unary")(text.encode(), timeout=PATIENCE).decode()


def status(channel, *texts):
    answered = threading.Semaphore(1)

    def messages():
        for text in texts:
            answered.acquire()
            yield text.encode()
        answered.acquire()

    call = chat(channel)(messages(), timeout=20)
    answers = []
    try:
        for answer in call:
            answers.append(answer.decode())
            answered.release()
            if len(answers) == len(texts):
                answered.release()
    except grpc.RpcError:
        answered.release()
    return " ".join([*answers, call.code().name, call.details() or "-"])


COMMANDS = {"chat": lockstep, "flood": flood, "first": first, "count": count, "unary": unary, "status": status}


def main():
    where, command, *arguments = sys.argv[1:]
    with grpc.insecure_channel(where) as channel:
        try:
            print(COMMANDS[command](channel, *arguments))
        except grpc.RpcError as error:
            print(f"{error.code().name} {error.details()}")


main()
