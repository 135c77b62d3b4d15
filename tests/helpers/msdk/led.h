#ifndef LED_H
#define LED_H

void LED_On(unsigned int number);
void LED_Off(unsigned int number);

#endif
