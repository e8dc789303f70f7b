/**
 * The program of a job. The job's layer supplies the program, and the job manager looks the program up.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Program, Refusal, Saved, Wait } from "../Job.ts"
import type { JobContext } from "../JobContext.ts"
import type { JobId } from "../JobId.ts"
import type { Pools } from "../Pools.ts"
import type { TaskDispatcher } from "../TaskDispatcher.ts"

/** The program of a job. Only the services of the runtime are still missing. */
export interface SuppliedProgram {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown, TaskDispatcher | JobContext | Pools | Scope.Scope>
  readonly waits: Readonly<Record<string, Wait<unknown>>>
  readonly onCancel: (payload: unknown, id: JobId, saved: Saved) => Effect.Effect<void>
  readonly refuse: (payload: unknown) => Effect.Effect<Option.Option<Refusal>>
}

/** The key of a job's program in a context. */
export const programKey = <Name extends string>(name: Name): Context.Key<Program<Name>, SuppliedProgram> =>
  Context.Service<Program<Name>, SuppliedProgram>(`@fanout/core/Job/${name}`)
