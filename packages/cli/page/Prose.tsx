/**
 * Shows a sentence of the command, which puts between backticks what is to be typed.
 */
import { printable } from "./shown.ts"

export const Prose = ({ text }: { readonly text: string }) => (
  <>
    {printable(text).split("`").map((part, index) => index % 2 === 0 ? part : <code key={index}>{part}</code>)}
  </>
)
