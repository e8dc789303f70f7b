import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"

/** Sends requests to some routes, and gives status and body. */
export const clientOf = Effect.fnUntraced(function*<R>(routes: Layer.Layer<never, never, R>) {
  const app = yield* HttpRouter.toHttpEffect(Layer.provide(routes, HttpServer.layerServices))
  const send = (path: string, init?: RequestInit) =>
    app.pipe(
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request(`http://127.0.0.1${path}`, init))
      ),
      Effect.scoped,
      Effect.flatMap((response) =>
        Effect.promise(async () => {
          const web = HttpServerResponse.toWeb(response)
          const text = await web.text()
          return { status: web.status, text, body: /^[[{]/.test(text) ? JSON.parse(text) : undefined }
        })
      )
    )
  return {
    send,
    get: (path: string) => send(path),
    post: (path: string, body: unknown) =>
      send(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body)
      })
  }
})
