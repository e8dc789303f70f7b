/**
 * Reads what belongs to a job page by page, so that memory does not grow with the job.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JobId } from "../../JobId.ts"
import type { JobStore, LogEntry, OutcomeRow } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import * as Numbers from "../numbers.ts"

/** Most rows, and most lines, that are read and held at once. */
export const pageSize = 256

/** Most rows of a read, as a number that every database takes. */
export const atMost = (limit: number): number => Math.min(Numbers.times("The limit of a read", limit), 2 ** 31 - 1)

/** Sequence number behind which a read begins. */
export const behind = (after: number): number => Numbers.natural("The after of a read", after)

type Store = Pick<JobStore["Service"], "logs" | "outcomes">

/** Each page starts after the sequence number of the last entry of the page before. */
const pages = <A>(
  read: (page: { readonly after: number; readonly limit: number }) => Effect.Effect<ReadonlyArray<A>, JobStoreError>,
  seqOf: (last: A) => number
): Stream.Stream<A, JobStoreError> =>
  Stream.paginate(0, (after) =>
    Effect.map(read({ after, limit: pageSize }), (found) => {
      const last = found.length < pageSize ? Option.none() : Option.fromUndefinedOr(found.at(-1))
      return [found, Option.map(last, seqOf)] as const
    }))

/** Streams stored outcomes of a job's elements in the order of recording. */
export const outcomesOf = (
  store: Store,
  id: JobId,
  filter: Pick<Parameters<Store["outcomes"]>[1], "fanOut" | "tags">
): Stream.Stream<OutcomeRow, JobStoreError> =>
  Stream.map(pages((page) => store.outcomes(id, { ...filter, ...page }), ([seq]) => seq), ([, row]) => row)

/** Streams a job's log, the oldest line first. */
export const logsOf = (store: Store, id: JobId): Stream.Stream<LogEntry, JobStoreError> =>
  pages((page) => store.logs(id, page), ({ seq }) => seq)
