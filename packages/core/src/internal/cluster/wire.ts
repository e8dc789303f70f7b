/**
 * How the owner of jobs and a worker reach each other: a pair of ordered streams of messages.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import { lineOf } from "../messageOf.ts"

/** An error in few words: what arrives may be long, and the error may repeat it. */
export const brief = (error: unknown): string => lineOf(error).slice(0, 200)

/** The other side can't be reached, or not any more. Of the last messages, nobody knows whether they have arrived. */
export class Disconnected extends Data.TaggedError("Disconnected")<{ readonly why: string }> {
  override get message(): string {
    return this.why
  }
}

/** The other side has sent what it must not send. */
export class Refused extends Data.TaggedError("Refused")<{ readonly why: string }> {
  override get message(): string {
    return this.why
  }
}

/** One side of a connection. Messages arrive in the order in which they were sent. */
export interface Wire {
  /** Waits for the next message. */
  readonly receive: Effect.Effect<string, Disconnected>
  /** Sends a message, and waits until there is room for the next one. */
  readonly send: (message: string) => Effect.Effect<void, Disconnected>
  /** How many bytes have arrived, where messages arrive in parts: a long one may take longer than silence may last. */
  readonly arrivedUnsafe?: () => number
}

/** Service that finds the workers of a cluster. */
export class ClusterLink extends Context.Service<ClusterLink, {
  /** Addresses of all workers that are registered. */
  readonly workers: Effect.Effect<ReadonlyArray<string>, Disconnected>
  /** Connects to a worker, until the scope closes. */
  readonly connect: (address: string) => Effect.Effect<Wire, Disconnected, Scope>
}>()("@fanout/core/internal/ClusterLink") {}
