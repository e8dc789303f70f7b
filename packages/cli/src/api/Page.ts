/**
 * Serves the files of the page. They hold no data, so everybody may have them.
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import { readFile } from "node:fs/promises"

const javascript = "text/javascript; charset=utf-8"
const html = "text/html; charset=utf-8"

interface File {
  readonly path: `/${string}`
  readonly name: string
  readonly contentType: string
}

/** What is served, and as what. */
const files: ReadonlyArray<File> = [
  { path: "/", name: "index.html", contentType: html },
  { path: "/index.html", name: "index.html", contentType: html },
  { path: "/app.js", name: "app.js", contentType: javascript },
  { path: "/app.css", name: "app.css", contentType: "text/css; charset=utf-8" }
]

/** Paths that show no data. */
export const paths: ReadonlySet<string> = new Set(files.map(({ path }) => path))

/** Headers of each answer: what a browser may do with it, which is little. */
export const headers: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "x-frame-options": "DENY",
  "cache-control": "no-store"
}

const notBuilt = HttpServerResponse.text("The page is not built: run `npm run build` first.\n", {
  status: 404,
  headers
})

const fileOf = (folder: URL, { contentType, name }: File) =>
  Effect.tryPromise(() => readFile(new URL(name, folder))).pipe(
    Effect.map((bytes) => HttpServerResponse.uint8Array(bytes, { contentType, headers })),
    Effect.orElseSucceed(() => notBuilt)
  )

/** Layer that serves the files of a folder. */
export const layer = (folder: URL): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.addAll(files.map((file) => HttpRouter.route("GET", file.path, fileOf(folder, file))))
