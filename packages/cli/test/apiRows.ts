/**
 * What the API answers of jobs that have run for a while, one row on a line.
 */
import type { JobId } from "@fanout/core/JobId"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Api from "../src/api/Api.ts"
import * as Handlers from "../src/api/Handlers.ts"
import { ServerProgram } from "../src/api/ServerProgram.ts"
import * as jobText from "../src/ui/jobText.ts"
import { scheduled } from "../src/UiServer.ts"
import { clientOf } from "./apiClient.ts"
import { examination, type Jobs } from "./livedJobs.ts"

const program = (isReadOnly: boolean) =>
  Layer.succeed(ServerProgram, {
    about: { version: "1.0.0", database: "jobs.db", isReadOnly, works: false, note: "" },
    knowledge: { title: jobText.title, field: jobText.field, scheduled, hasCode: () => true },
    examination: Effect.succeed(examination),
    carryOut: () => Effect.void
  })

/** Paths of all that can be looked at: also of what is added to the API. Events have no end. */
const paths = ({ resting, running }: Jobs): ReadonlyArray<string> => {
  const ids: ReadonlyArray<JobId | "nope"> = [...Object.values(resting), ...Object.values(running), "nope"]
  return Object.values(Api.Api.groups)
    .flatMap(({ endpoints }) => Object.values(endpoints))
    .filter(({ method, path }) => method === "GET" && path !== "/api/events")
    .flatMap(({ path }) => path.includes(":id") ? ids.map((id) => path.replace(":id", id)) : [path])
    .flatMap((path) => path.includes(":name") ? ["nightly", "nope"].map((name) => path.replace(":name", name)) : [path])
}

const queries = ({ resting: { copy, verify }, running: { parent } }: Jobs) => [
  "/api/jobs?limit=2",
  "/api/jobs?state=Running&state=Paused&name=hash",
  `/api/jobs?parent=${parent}`,
  "/api/jobs?state=Odd",
  "/api/jobs?limit=x",
  "/api/jobs?since=soon",
  `/api/jobs/${parent}/children?state=Queued`,
  `/api/jobs/${copy}/items?outcome=Skipped&outcome=Done`,
  `/api/jobs/${copy}/items?cause=EACCES`,
  `/api/jobs/${verify}/items?limit=2&after=1`,
  `/api/jobs/${copy}/items?outcome=Odd`,
  `/api/jobs/${copy}/log?after=1`,
  `/api/jobs/${copy}/log?after=-1`,
  "/api/schedules?limit=1",
  "/api/schedules?after=nightly"
]

const changes = ({ resting: { copy, hash, verify } }: Jobs) =>
  [
    ["/api/jobs/actions", { action: "pause", ids: [copy, "nope"] }],
    ["/api/jobs/actions", { action: "stop", ids: [copy] }],
    ["/api/jobs/actions", "{"],
    [`/api/jobs/${copy}/retry`, { elements: [9999] }],
    [`/api/jobs/${copy}/retry`, { cause: "ENOSPC" }],
    [`/api/jobs/${hash}/retry`, { cause: "EACCES" }],
    ["/api/jobs/nope/retry", { cause: "EACCES" }],
    [`/api/jobs/${verify}/settings`, { priority: "low" }],
    [`/api/jobs/${hash}/settings`, { concurrency: 0 }],
    ["/api/jobs/nope/settings", { priority: "low" }],
    ["/api/jobs/prune", { olderThanMillis: 1e9 }],
    ["/api/jobs/prune", { olderThanMillis: -1 }],
    ["/api/limits", { kind: "jobs", name: "copy", most: 1.5 }],
    ["/api/schedules/actions", { action: "pause", names: ["nope"] }]
  ] as const

/** What is asked, the status of the answer, and the answer, each row of it on a line of its own. */
const shown = (asked: string, { status, text }: { readonly status: number; readonly text: string }): string =>
  `$ ${asked}\n[${status}]\n${text.replaceAll(/(?<=[[}]),?(?=\{")/g, "$&\n")}\n`

export const rowsOf = Effect.fnUntraced(function*(jobs: Jobs) {
  const { get, post, send } = yield* Effect.provide(clientOf(Handlers.layer), program(false))
  const readOnly = yield* Effect.provide(clientOf(Handlers.layer), program(true))
  const parts: Array<string> = []
  for (const path of [...paths(jobs), ...queries(jobs)]) parts.push(shown(`GET ${path}`, yield* get(path)))
  for (const [path, body] of changes(jobs)) {
    parts.push(shown(`POST ${path} ${JSON.stringify(body)}`, yield* post(path, body)))
  }
  const path = "/api/jobs/prune"
  const body = new Blob(["{}"])
  const foreign = { "sec-fetch-site": "cross-site" }
  parts.push(
    shown(`POST ${path} without a type`, yield* send(path, { method: "POST", body })),
    shown(`POST ${path} for another site`, yield* send(path, { method: "POST", body, headers: foreign })),
    shown(`POST ${path} where jobs are only shown`, yield* readOnly.post(path, {}))
  )
  return parts.join("\n")
})
