/**
 * Makes calls that are answered before they return.
 */
import type { Done } from "./systemCalls.ts"

/** What a call came to. */
export type Answer<A> = { readonly code: string } | { readonly code: undefined; readonly value: A }

/** Makes a call that is answered before it returns. */
export const ask = <A>(start: (done: Done<A>) => void): Answer<A> => {
  let answer: Answer<A> = { code: "EAGAIN" }
  start((code, value) => {
    answer = code === undefined ? { code, value } : { code }
  })
  return answer
}
