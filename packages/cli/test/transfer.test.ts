import { assert, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import type { JobRecord } from "@fanout/core/JobStore"
import * as Copy from "@fanout/ops/Copy"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import { cli } from "../src/Cli.ts"
import { platform } from "../src/CommandLine.ts"
import * as Settings from "../src/options/Settings.ts"
import { counters, record } from "./records.ts"

const runtime = vi.hoisted((): { layer?: unknown } => ({}))
vi.mock("../src/MainLayer.ts", () => ({ layer: () => runtime.layer }))

/** What a command does first with jobs: that is where it ends here. */
const firstStep = (jobs: ReadonlyArray<JobRecord>, ...options: ReadonlyArray<string>) => {
  runtime.layer = Layer.mock(JobManager.JobManager, {
    list: () => Effect.succeed(jobs),
    get: () => Effect.succeed(jobs[0] ?? assert.fail("there is no job")),
    resume: () => Effect.die("resumes"),
    start: (_job, payload) => Effect.die(payload)
  })
  const args = ["--db", ":memory:", "copy", "--quiet", ...options, import.meta.filename, "/nowhere"]
  return Command.runWith(cli, { version: "1" })(args).pipe(
    Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
    Effect.provide(platform),
    Effect.catchDefect(Effect.succeed)
  )
}

it.effect("a copy goes on with one of the same mode only, if a mode is given", () =>
  Effect.gen(function*() {
    const { payload: schema } = Copy.job
    const begun = Schema.decodeUnknownSync(Schema.toType(schema))(yield* firstStep([], "--conflict", "skip"))
    const payload = Schema.encodeUnknownSync(schema)(begun)
    const jobs = [record({ _tag: "Paused", by: "person", ...counters }, { payload })]

    assert.strictEqual(yield* firstStep(jobs), "resumes")
    assert.strictEqual(yield* firstStep(jobs, "--conflict", "skip"), "resumes")
    assert.nestedPropertyVal(yield* firstStep(jobs, "--conflict", "overwrite"), "request.conflict", "overwrite")
  }))
