/**
 * Shows moments and lengths of time, which go on while the page is seen.
 */
import { now } from "./live.ts"
import { ago, duration, moment } from "./shown.ts"

/** How long ago something was, and when on a second look. */
export const Ago = ({ at }: { readonly at: number }) => (
  <time dateTime={new Date(at).toISOString()} title={moment(at)}>{ago(now.value - at)}</time>
)

/** How long something has lasted. */
export const Lasting = ({ since }: { readonly since: number }) => <>{duration(now.value - since)}</>

/** A moment in full. */
export const Moment = ({ at }: { readonly at: number }) => (
  <time dateTime={new Date(at).toISOString()}>{moment(at)}</time>
)
