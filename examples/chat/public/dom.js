// Elements of the page. Text of users is only ever set as textContent.

export const $ = (id) => document.getElementById(id);

/** The letter is of the name, the colour of the author: strangers may have the same name. */
export function paintAvatar(avatar, name, author) {
  let hash = 7;
  for (const letter of author) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  avatar.textContent = [...name][0].toLocaleUpperCase();
  avatar.style.setProperty("--hue", String(hash));
}

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
