/**
 * Puts the page of jobs together: the server, and what this command knows of jobs and of its machine.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import type * as Api from "./api/Api.ts"
import { Host } from "./api/Host.ts"
import * as Server from "./api/Server.ts"
import * as examination from "./commands/examination.ts"
import { jobs } from "./MainLayer.ts"
import * as Arguments from "./options/Arguments.ts"
import { printable } from "./ui/format.ts"
import * as jobText from "./ui/jobText.ts"

/** The built page: beside the sources, and beside the command where it is one file. */
const page = new URL(import.meta.url.endsWith(".ts") ? "../dist/page/" : "./page/", import.meta.url)

const names: ReadonlySet<string> = new Set(jobs.map(({ name }) => name))

/** What is said of a server that runs nothing. */
export const note = "Jobs that are queued wait until `fanout jobs work` or their own program runs them."

const look = (filename: string): Effect.Effect<Api.Examination> =>
  Effect.map(examination.examination(filename, [Arguments.workingFolder()]), ({ checks, pools }) => ({
    checks: checks.map(({ found, ...check }) => ({ ...check, found: printable(found) })),
    pools: pools.map(({ bounds, ...pool }) => ({ ...pool, bounds: bounds ?? null }))
  }))

/** How to serve jobs of a database. */
export interface Options {
  readonly filename: string
  readonly isReadOnly: boolean
  readonly ports: ReadonlyArray<number>
}

/** Serves the jobs of a manager until the scope is closed. */
export const serve = ({ filename, isReadOnly, ports }: Options) =>
  Effect.provideService(Server.serve({ ports, page }), Host, {
    about: {
      version: version(),
      database: printable(filename),
      isReadOnly,
      works: false,
      note
    },
    knowledge: { title: jobText.title, field: jobText.field, hasCode: (name) => names.has(name) },
    examination: look(filename),
    carryOut: () => Effect.void
  })

const version = (): string => {
  const manifest: { readonly version: string } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8")
  )
  return manifest.version
}
