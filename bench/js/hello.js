// C3 of `make bench`: greets whom the request's body names.
addEventListener("fetch", (event) => event.respondWith(greet(event.request)));

async function greet(request) {
  return new Response(JSON.stringify({ message: `Hello ${await request.text()}` }), {
    headers: { "content-type": "application/json" },
  });
}
